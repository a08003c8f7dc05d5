#include "conversation/windows.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "conversation/substance.h"

namespace attune {
namespace {

struct Turn {
  bool assistant = false;
  std::uint64_t messages = 0;
  std::string text;
  Substance substance;
};

struct Speakers {
  std::set<std::string, std::less<>> me;
  bool several = false;  // more than one person besides the assistant
};

// A speaker with less than one message in a hundred does not make a chat of two people a group: it may be an old name of
// the other one, or a notice that looks like a message.
Speakers speakers_of(const ChatLog& log, const std::vector<std::string>& me) {
  Speakers speakers{{me.begin(), me.end()}, false};
  std::vector<std::uint64_t> others;
  std::uint64_t total = 0;
  for (const auto& [name, count] : log.messages.senders()) {
    if (speakers.me.contains(name)) continue;
    others.push_back(count);
    total += count;
  }
  const auto heard = std::count_if(others.begin(), others.end(), [&](auto count) { return count * 100 >= total; });
  speakers.several = heard > 1;
  return speakers;
}

std::vector<Turn> turns_of(const MessageRange& messages, const Speakers& speakers) {
  std::vector<Turn> turns;
  std::string_view previous;
  for (const ChatMessage message : messages) {
    const bool assistant = speakers.me.contains(message.sender);
    if (turns.empty() || turns.back().assistant != assistant) turns.push_back({assistant, 0, "", {}});
    Turn& turn = turns.back();
    if (!turn.text.empty()) turn.text += '\n';
    const bool new_burst = turn.messages == 0 || previous != message.sender;
    if (!assistant && speakers.several && new_burst) turn.text.append(message.sender) += ": ";
    turn.text += message.text;
    turn.substance.add(message.text);
    ++turn.messages;
    previous = message.sender;
  }
  return turns;
}

struct Range {
  std::size_t begin, end;
};

// The fewest windows that respect the maximum, as even as can be. Where that makes them shorter than the minimum (7
// exchanges in windows of 4-6), they all have the minimum and overlap.
std::vector<Range> divide(std::size_t exchanges, const WindowOptions& options) {
  const auto least = static_cast<std::size_t>(options.min_exchanges);
  const auto most = static_cast<std::size_t>(options.max_exchanges);
  const auto shared = static_cast<std::size_t>(options.overlap);
  if (exchanges <= most) return {{0, exchanges}};
  const std::size_t step = most - shared;  // new exchanges that a window after the first can have
  const std::size_t windows = (exchanges - shared + step - 1) / step;
  const std::size_t even = (exchanges + (windows - 1) * shared) / windows;  // in each, when it is divided evenly
  std::vector<Range> ranges;
  for (std::size_t w = 0; w < windows; ++w) {
    if (even < least || shared > 0) {
      const std::size_t size = even < least ? least : (exchanges + (windows - 1) * shared + windows - 1) / windows;
      const std::size_t begin = (exchanges - size) * w / (windows - 1);
      ranges.push_back({begin, begin + size});
    } else {
      ranges.push_back({exchanges * w / windows, exchanges * (w + 1) / windows});
    }
  }
  return ranges;
}

// Why an exchange has no words to learn from, if so. A question that is a single emoji is what the answer before it
// earned, and stays.
std::optional<Drop> wordless(const Turn& question, const Turn& answer) {
  if (question.substance.only_links() || answer.substance.only_links()) return Drop::kOnlyLinks;
  if (answer.substance.only_one_sign()) return Drop::kOnlySigns;
  return std::nullopt;
}

// The windows of the messages between two pauses.
MessageSession session_of(const MessageRange& messages, const Speakers& speakers, const WindowOptions& options,
                          SessionCounts& counts) {
  std::vector<Turn> turns = turns_of(messages, speakers);
  const auto leave_out = [&](const Turn& turn, Drop reason) {
    counts.dropped[static_cast<std::size_t>(reason)] += turn.messages;
  };
  if (!turns.empty() && !turns.back().assistant) {
    leave_out(turns.back(), Drop::kUnanswered);
    turns.pop_back();
  }
  if (!turns.empty() && turns.front().assistant) {
    leave_out(turns.front(), Drop::kUnprompted);
    turns.erase(turns.begin());
  }
  MessageSession session{messages.front().time, {}, {}};
  std::vector<Turn> kept;
  for (std::size_t t = 0; t + 1 < turns.size(); t += 2) {
    Turn &question = turns[t], &answer = turns[t + 1];
    if (const auto reason = options.only_words ? wordless(question, answer) : std::nullopt) {
      leave_out(question, *reason);
      leave_out(answer, *reason);
      continue;
    }
    session.exchanges.push_back(question.messages + answer.messages);
    counts.used += session.exchanges.back();
    kept.push_back(std::move(question));
    kept.push_back(std::move(answer));
  }
  if (kept.empty()) return session;
  for (const auto& [begin, end] : divide(session.exchanges.size(), options)) {
    Window window;
    window.begin = begin;
    window.end = end;
    if (!options.system.empty()) window.messages.push_back({"system", options.system});
    for (std::size_t t = 2 * begin; t < 2 * end; ++t) {
      window.messages.push_back({kept[t].assistant ? "assistant" : "user", kept[t].text});
    }
    session.windows.push_back(std::move(window));
  }
  return session;
}

}  // namespace

SessionCounts make_sessions(const ChatLog& log, const std::vector<std::string>& me, const WindowOptions& options,
                            const std::function<void(const MessageSession&)>& visit) {
  SessionCounts counts;
  const Speakers speakers = speakers_of(log, me);
  const MessageList& messages = log.messages;
  const auto senders = messages.senders();
  const bool speaks = std::any_of(senders.begin(), senders.end(),
                                  [&](const auto& sender) { return speakers.me.contains(sender.first); });
  if (!speaks) {
    counts.dropped[static_cast<std::size_t>(Drop::kWithoutMe)] = messages.size();
    return counts;
  }
  std::size_t known = 0;  // of log.sessions: those that have begun
  for (std::size_t begin = 0, end; begin < messages.size(); begin = end) {
    while (known < log.sessions.size() && log.sessions[known] <= begin) ++known;
    const std::size_t next = known < log.sessions.size() ? log.sessions[known] : messages.size();
    for (end = begin + 1; end < next; ++end) {
      const bool pause = std::abs(messages[end].time - messages[end - 1].time) >= options.session_gap;
      if (pause && log.sessions.empty()) break;
    }
    const MessageSession session = session_of(MessageRange(messages, begin, end), speakers, options, counts);
    if (!session.windows.empty()) visit(session);
  }
  return counts;
}

}  // namespace attune
