// A chat log -> conversations in which --me is the assistant.
//
//   burst      messages of one sender in a row, joined with '\n'
//   turn       the assistant's burst, or everything that the others say between two of them
//   exchange   a user turn and the assistant turn that answers it
//   session    exchanges without a pause of `session_gap` between two messages
//   window     one conversation: the exchanges of a session, or, when it has more than max_exchanges, an even share of
//              them; it begins with a user turn and ends with an assistant turn
// With only_words, exchanges without words (substance.h) are left out of a session before it is divided. With an
// overlap, each window begins with at least so many of the exchanges of the one before.
// A session shorter than min_exchanges is one short window: it offers no more. A longer one whose shares would be too
// short (7 exchanges in windows of 4-6) gives windows of min_exchanges that overlap. When more than one other
// person speaks in a chat, each of their bursts in a user turn begins with "Name: "; the assistant's turns
// never do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "conversation/chat_log.h"
#include "conversation/conversation.h"

namespace attune {

struct WindowOptions {
  std::int64_t session_gap = 6 * 3600;  // seconds
  int min_exchanges = 4;
  int max_exchanges = 6;
  int overlap = 0;         // exchanges, below max_exchanges
  bool only_words = true;  // leave out kOnlyLinks and kOnlySigns
  std::string system;      // a system message at the beginning of every conversation; "": none
};

// A conversation and which exchanges of its session it holds.
struct Window : Conversation {
  std::size_t begin = 0, end = 0;
};

struct MessageSession {
  std::int64_t time = 0;                 // of its first message
  std::vector<std::uint64_t> exchanges;  // messages in each
  std::vector<Window> windows;
};

struct SessionCounts {
  std::uint64_t used = 0;  // messages that are in a window
  DropCounts dropped{};    // kUnprompted, kUnanswered, kWithoutMe, kOnlyLinks, kOnlySigns
};

// Calls visit(session) for every session with a window, in the order of the log. `me` holds the names (as in the log)
// that are the assistant.
SessionCounts make_sessions(const ChatLog& log, const std::vector<std::string>& me, const WindowOptions& options,
                            const std::function<void(const MessageSession&)>& visit);

}  // namespace attune
