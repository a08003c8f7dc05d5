// What a chat template writes around the contents of messages.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "token/chat_template.h"

namespace attune {

// The text around the contents of `messages`, rendered to be answered: one part more than there are messages. Nothing when
// the template refuses them, or does not show each once and in order. Contents must be texts that no template writes.
std::optional<std::vector<std::string>> parts_around(const ChatTemplate& chat_template,
                                                     const std::vector<Message>& messages);

// The longest text that both end with. Between an answer and the next user's words and at the beginning of a conversation
// it is what begins a user's turn.
std::string common_end(const std::string& a, const std::string& b);

}  // namespace attune
