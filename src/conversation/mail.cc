#include "conversation/mail.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/ascii.h"
#include "base/error.h"
#include "base/utf8.h"
#include "conversation/mail_text.h"
#include "conversation/mail_threads.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr std::size_t kMaxMailBytes = std::size_t{1} << 29;
constexpr std::size_t kMaxShownDate = 64;

// Calls visit(message, its "From " line, the line number of that one or else the first) for each mail of an mbox, or once
// for a single mail.
template <typename Visit>
void for_each_mail(const PagedText& paged, const std::string& source, const Visit& visit) {
  const std::string_view text = paged.all();
  if (!text.starts_with("From ")) return visit(text, std::string_view(), std::uint64_t{1});
  std::uint64_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    paged.touch(at);
    const std::size_t body = std::min(text.find('\n', at), text.size() - 1) + 1;
    std::size_t end = 0;
    // The next "From " line that looks like one: a sender and a date.
    for (std::size_t search = body - 1;; search = end + 1) {
      end = text.find("\nFrom ", search);
      if (end == std::string_view::npos) {
        end = text.size();
        break;
      }
      const std::string_view next = text.substr(end + 1, std::min(text.find('\n', end + 1), text.size()) - end - 1);
      if (next.find(':') != std::string_view::npos || next.find('@') != std::string_view::npos) break;
    }
    if (end - at > kMaxMailBytes) throw BadFile("[{}:{}] a mail of {} bytes", source, line, end - at);
    visit(text.substr(body, end > body ? end - body : 0), text.substr(at, body - at), line);
    const std::size_t next = std::min(end + 1, text.size());
    line += static_cast<std::uint64_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                  text.begin() + static_cast<std::ptrdiff_t>(next), '\n'));
    at = next;
  }
}

std::uint64_t lines_before_date(std::string_view message) {
  std::uint64_t lines = 0;
  for (std::size_t at = 0; at < message.size(); ++lines) {
    if (lower_ascii(message.substr(at, 5)) == "date:") break;
    at = std::min(message.find('\n', at), message.size() - 1) + 1;
  }
  return lines;
}

// ">From " -> "From ", the escape of mbox.
std::string unescape(std::string text) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t behind = at;
    while (behind < text.size() && text[behind] == '>') ++behind;
    if (behind > at && text.compare(behind, 5, "From ") == 0) text.erase(at, 1);
    at = std::min(text.find('\n', at), text.size() - 1) + 1;
  }
  return text;
}

struct MailEntry {
  std::int64_t time = 0;
  std::uint32_t thread = 0, message = 0;  // the second: in the list of all
};

// The mails of an export, by thread, until it is known who takes part in each.
class MailReader {
 public:
  explicit MailReader(const ReadOptions& options) {
    for (const std::string& name : options.me) {
      if (name.find('@') != std::string::npos) names_[fold_name(name)] = options.me.front();
    }
  }

  void read(ExportText& text) {
    if (all_.source.empty()) all_.source = text.source();
    for_each_mail(text.raw(), text.source(), [&](std::string_view message, std::string_view from, std::uint64_t line) {
      const Mail mail = parse_mail(message);
      if (!mail.time && is_impossible_worded_time(mail.date)) {
        throw BadFile("[{}:{}] the header Date names a time that does not exist, \"{}\"; correct it", text.source(),
                      line + !from.empty() + lines_before_date(message),
                      to_valid_utf8(std::string_view(mail.date).substr(0, kMaxShownDate)));
      }
      add(mail, from, fmt::format("{}:{}", text.source(), line));
    });
  }

  std::vector<ChatLog> finish();

 private:
  void add(const Mail& mail, std::string_view from_line, const std::string& place) {
    ++all_.records;
    if (!mail.id.empty() && threads_.has_seen(mail.id)) return all_.drop(Drop::kDuplicate);  // in two folders
    auto time = mail.time;
    if (!time) time = parse_worded_time(from_line.substr(std::min(from_line.size(), from_line.find(' ', 5))));
    if (!time) time = last_time_;
    if (!time) throw BadFile("[{}] record {}: a mail without a valid Date", place, all_.records);
    last_time_ = time;
    if (mail.automatic) return all_.drop(Drop::kBot);
    if (mail.text.size() > kMaxTextBytes) throw BadFile("[{}] record {}: {}", place, all_.records, kTooLong);
    const std::uint32_t thread = threads_.add(mail);
    const std::string words = own_words(unescape(mail.text));
    if (words.empty()) {
      const bool quoted = !trim(mail.text).empty();
      return all_.drop(quoted ? Drop::kQuote : mail.attachments ? Drop::kMedia : Drop::kEmpty);
    }
    // A person is an address; it is called by the first name that it came with.
    std::string name = mail.name.empty() ? mail.address : mail.name;
    if (!mail.address.empty()) name = names_.try_emplace(fold_name(mail.address), name).first->second;
    entries_.push_back({*time, thread, static_cast<std::uint32_t>(all_.messages.size())});
    all_.add(*time, name.empty() ? "Unknown" : name, words);
  }

  ChatLog all_;
  MailThreads threads_;
  std::vector<MailEntry> entries_;
  std::map<std::string, std::string> names_;  // by folded address
  std::optional<std::int64_t> last_time_;
};

std::vector<ChatLog> MailReader::finish() {
  for (MailEntry& entry : entries_) entry.thread = threads_.root(entry.thread);
  std::sort(entries_.begin(), entries_.end(), [](const MailEntry& a, const MailEntry& b) {
    return std::tie(a.thread, a.time, a.message) < std::tie(b.thread, b.time, b.message);
  });
  struct Thread {
    std::int64_t time = 0;
    std::size_t begin = 0, end = 0;
  };
  std::map<std::set<std::string>, std::vector<Thread>> chats;  // by who writes in them
  for (std::size_t begin = 0, end; begin < entries_.size(); begin = end) {
    std::set<std::string> people;
    for (end = begin; end < entries_.size() && entries_[end].thread == entries_[begin].thread; ++end) {
      people.insert(std::string(all_.messages[entries_[end].message].sender));
    }
    chats[people].push_back({entries_[begin].time, begin, end});
  }
  std::vector<ChatLog> logs;
  for (auto& [people, threads] : chats) {
    std::stable_sort(threads.begin(), threads.end(), [](const Thread& a, const Thread& b) { return a.time < b.time; });
    ChatLog& log = logs.emplace_back();
    std::string names;
    for (const std::string& person : people) names += (names.empty() ? "" : ", ") + person;
    log.source = all_.source + ":" + names;
    log.format = "Mail";
    log.chat = names;
    log.clock = "UTC";
    for (const Thread& thread : threads) {
      log.sessions.push_back(log.messages.size());
      for (std::size_t i = thread.begin; i < thread.end; ++i) {
        const ChatMessage message = all_.messages[entries_[i].message];
        log.add(message.time, message.sender, message.text);
      }
    }
    log.records = log.entries;
  }
  if (all_.entries == 0) return logs;
  // What became no message belongs to no chat: it is accounted for with the first.
  if (logs.empty()) {
    all_.format = "Mail";
    logs.push_back(std::move(all_));
    return logs;
  }
  logs.front().records += all_.records - all_.messages.size();
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    logs.front().dropped[i] += all_.dropped[i];
    logs.front().entries += all_.dropped[i];
  }
  return logs;
}

bool detect_mail(const std::string& name, std::string_view head) {
  if (head.starts_with("From ") && head.find("\nFrom: ") != std::string_view::npos) return true;
  // A single mail: its headers come first.
  static constexpr std::string_view kHeaders[] = {"\nFrom: ", "\nDate: ", "\nSubject: ", "\nMessage-I", "\nTo: "};
  const std::string_view headers = head.substr(0, std::min(head.find("\n\n"), head.find("\r\n\r\n")));
  const std::string padded = "\n" + std::string(headers.substr(0, 16384));
  const auto count = std::count_if(std::begin(kHeaders), std::end(kHeaders),
                                   [&](std::string_view header) { return padded.find(header) != std::string::npos; });
  return count >= (name.ends_with(".eml") ? 2 : 4);
}

Imported read_mail(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options) {
  MailReader reader(options);
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) { reader.read(text); });
  Imported result;
  result.logs = reader.finish();
  return result;
}

}  // namespace

const Importer kMail = {"mail", "mbox or .eml mail", false, detect_mail, read_mail};

}  // namespace attune
