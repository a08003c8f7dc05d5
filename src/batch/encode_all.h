// Conversations -> tokens on all cores, in order: the result does not depend on the number of threads.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "token/encode.h"

namespace attune {

struct EncodedRow : EncodedConversation {
  std::string refused;  // why the template cannot render it; no tokens then
};

// encode_conversation() of each. `threads` 0: as many as the processor has.
std::vector<EncodedRow> encode_all(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                                   const Tokenizer& tokenizer, unsigned threads = 0);

}  // namespace attune
