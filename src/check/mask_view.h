// One conversation as its tokens, and what training does with each: for eyes, in a terminal or as HTML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "token/encode.h"

namespace attune {

enum class TokenFate : std::uint8_t { kTrained, kUntrained, kCut };

// Tokens that share bytes of a character are one piece, since they can only be read together.
struct ViewedToken {
  std::string text;  // valid UTF-8
  std::vector<TokenId> ids;
  TokenFate fate = TokenFate::kUntrained;
  bool special = false;
};

std::vector<ViewedToken> view_tokens(const EncodedConversation& row, const Tokenizer& tokenizer,
                                     std::int64_t max_length);

// With `color` ANSI colours: green is trained, dim is untrained, magenta special, red and crossed out cut. Without, marks:
// «trained», <special> as it is, and {cut: ...}. Ends in '\n' and is preceded by a legend.
std::string mask_text(const std::vector<ViewedToken>& tokens, bool color);

// <span class="token trained special" title="id 42">...; for the style of report_html.cc.
std::string mask_html(const std::vector<ViewedToken>& tokens);

}  // namespace attune
