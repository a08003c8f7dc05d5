// A chat template as a pattern: what stands before and after each message. Found by rendering examples; what Ollama's
// templates can say is just this.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "token/chat_template.h"

namespace attune {

// Where the text of a system message goes.
enum class SystemPlace { kNone, kOwnTurn, kFirstUser, kLastUser };

struct TurnPattern {
  struct Turn {
    std::string before, after;
  };
  std::string start;          // before everything when there is a system message
  std::string start_without;  // and when there is none (a template may write a system text of its own)
  Turn system, user, assistant;
  SystemPlace place =
      SystemPlace::kNone;  // kFirstUser, kLastUser: `system.after` stands between its text and the user's
  std::string prompt;      // what the model continues

  std::string render(const std::vector<Message>& messages) const;  // ready to be answered
};

// The pattern that gives the same text as `chat_template` for conversations of any length that end with the user; the
// system text is dropped when the template refuses one. Throws Unsupported, naming the first example that comes out
// differently, when there is none.
TurnPattern find_turn_pattern(const ChatTemplate& chat_template);

}  // namespace attune
