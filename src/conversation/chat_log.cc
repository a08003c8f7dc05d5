#include "conversation/chat_log.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"

namespace attune {

MessageList::MessageList(std::span<const ChatMessage> messages) {
  for (const ChatMessage& message : messages) push_back(message);
}

std::uint32_t MessageList::sender_number(std::string_view name) {
  const auto found = numbers_.find(name);
  if (found != numbers_.end()) return found->second;
  names_.emplace_back(name);
  return numbers_[names_.back()] = static_cast<std::uint32_t>(names_.size() - 1);
}

void MessageList::push_back(const ChatMessage& message) {
  if (message.text.size() > UINT32_MAX) throw BadFile("[import] a message of {} bytes", message.text.size());
  entries_.push_back(
      {message.time, texts_.size(), static_cast<std::uint32_t>(message.text.size()), sender_number(message.sender)});
  texts_.append(message.text);
}

ChatMessage MessageList::operator[](std::size_t i) const {
  const Entry& entry = entries_[i];
  return {entry.time, names_[entry.sender], texts_.view(entry.offset, entry.length)};
}

MessageList::Iterator MessageList::begin() const { return {*this, 0}; }
MessageList::Iterator MessageList::end() const { return {*this, size()}; }

void MessageList::set_text(std::size_t i, std::string_view text) {
  Entry& entry = entries_[i];
  entry.offset = texts_.size();
  entry.length = static_cast<std::uint32_t>(text.size());
  texts_.append(text);
}

void MessageList::rename_senders(const std::function<std::string(std::string_view)>& name) {
  std::deque<std::string> before = std::exchange(names_, {});
  numbers_.clear();
  std::vector<std::uint32_t> numbers;
  for (const std::string& old : before) numbers.push_back(sender_number(name(old)));
  for (std::size_t i = 0; i < size(); ++i) entries_[i].sender = numbers[entries_[i].sender];
}

// Merges runs that are in order, two by two, until there is one: exports are mostly in order, or a few of them in a row
// are, and what lies on disk is read and written from front to back.
void MessageList::sort_by_time() {
  const auto run_end = [&](std::size_t at) {
    if (at < size()) ++at;
    while (at < size() && entries_[at - 1].time <= entries_[at].time) ++at;
    return at;
  };
  while (run_end(0) < size()) {
    SpillVector<Entry> merged;
    for (std::size_t begin = 0; begin < size();) {
      const std::size_t middle = run_end(begin), end = run_end(middle);
      for (std::size_t left = begin, right = middle; left < middle || right < end;) {
        const bool from_left = right == end || (left < middle && entries_[left].time <= entries_[right].time);
        merged.push_back(entries_[from_left ? left++ : right++]);
      }
      begin = end;
    }
    entries_ = std::move(merged);
  }
}

void MessageList::reorder(const std::vector<std::uint32_t>& order) {
  SpillVector<Entry> ordered;
  for (const std::uint32_t i : order) ordered.push_back(entries_[i]);
  entries_ = std::move(ordered);
}

void MessageList::divide_times(std::int64_t divisor) {
  for (std::size_t i = 0; i < size(); ++i) {
    std::int64_t& time = entries_[i].time;
    time = time / divisor - (time % divisor < 0);
  }
}

void MessageList::reverse() {
  SpillVector<Entry> reversed;
  for (std::size_t i = size(); i-- > 0;) reversed.push_back(entries_[i]);
  entries_ = std::move(reversed);
}

std::size_t MessageList::erase_if(const std::function<bool(const ChatMessage&)>& leave_out) {
  SpillVector<Entry> kept;
  const std::size_t before = size();
  for (std::size_t i = 0; i < before; ++i) {
    if (!leave_out((*this)[i])) kept.push_back(entries_[i]);
  }
  if (kept.size() < before) entries_ = std::move(kept);
  return before - size();
}

std::vector<std::pair<std::string_view, std::uint64_t>> MessageList::senders() const {
  std::vector<std::uint64_t> counts(names_.size());
  for (std::size_t i = 0; i < size(); ++i) ++counts[entries_[i].sender];
  std::vector<std::pair<std::string_view, std::uint64_t>> list;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) list.emplace_back(names_[i], counts[i]);
  }
  return list;
}

void MessageList::settle() const {
  entries_.settle();
  texts_.settle();
}

namespace {

struct DropText {
  std::string_view name, explanation;
};

constexpr std::array<DropText, kDropReasons> kDropTexts = {{{"system", "notices of the program"},
                                                            {"media", "media without words"},
                                                            {"deleted", "deleted messages"},
                                                            {"call", "calls"},
                                                            {"location", "locations"},
                                                            {"contact", "contact cards"},
                                                            {"poll", "polls"},
                                                            {"reaction", "reactions"},
                                                            {"bot", "written by bots"},
                                                            {"forwarded", "somebody else's words, forwarded"},
                                                            {"quote", "mails without words of their own"},
                                                            {"empty", "empty"},
                                                            {"duplicate", "already read from another file"},
                                                            {"without_me", "in chats without --me"},
                                                            {"unprompted", "opening words that answer nobody"},
                                                            {"unanswered", "last words that nobody answers"},
                                                            {"only_links", "exchanges of nothing but links"},
                                                            {"only_signs", "exchanges answered by a single emoji"},
                                                            {"repeated", "in conversations equal to an earlier one"},
                                                            {"near_repeated", "in conversations nearly equal to one"}}};

}  // namespace

std::string_view drop_name(Drop reason) { return kDropTexts[static_cast<std::size_t>(reason)].name; }

std::string_view drop_explanation(Drop reason) { return kDropTexts[static_cast<std::size_t>(reason)].explanation; }

}  // namespace attune
