// Conversation -> tokens and loss mask. The mask is 1 exactly on the tokens the assistant must learn to
// produce: the text of its turns and the token(s) that end each turn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conversation/conversation.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace attune {

struct EncodedConversation {
  std::vector<TokenId> tokens;     // begins with BOS exactly when the template writes one, as in Hugging Face
  std::vector<std::uint8_t> mask;  // same length; 1: trained on (as a target)
};

// Throws UserError when the template refuses the conversation.
// The rendered text is cut where an answer begins and ends and encoded part by part, so that no token spans
// prompt and answer and every token is either trained or not. Special tokens that stand in the content of a
// message ("</s>" typed by someone) are encoded as ordinary text.
EncodedConversation encode_conversation(const Conversation& conversation, const ChatTemplate& chat_template,
                                        const Tokenizer& tokenizer);

// The tokens a model continues to answer `messages` (generation prompt added); BOS handled as above, so that
// it is a prefix of encode_conversation() of the same messages with the answer appended.
std::vector<TokenId> encode_prompt(const std::vector<Message>& messages, const ChatTemplate& chat_template,
                                   const Tokenizer& tokenizer);

// The ids that end an assistant turn under this template (found by rendering), plus the tokenizer's eos.
std::vector<TokenId> stop_tokens(const ChatTemplate& chat_template, const Tokenizer& tokenizer);

}  // namespace attune
