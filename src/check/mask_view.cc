#include "check/mask_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "base/html.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::string_view kReset = "\033[0m";

std::string_view color_of(const ViewedToken& token) {
  if (token.fate == TokenFate::kCut) return "\033[9;31m";
  if (token.special) return token.fate == TokenFate::kTrained ? "\033[1;35;4m" : "\033[35m";
  return token.fate == TokenFate::kTrained ? "\033[32m" : "\033[2m";
}

// Line ends are shown and kept; other control characters would play with the terminal.
std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c == '\n')
      shown += "⏎\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      shown += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    else
      shown += c;
  }
  return shown;
}

}  // namespace

std::vector<ViewedToken> view_tokens(const EncodedConversation& row, const Tokenizer& tokenizer,
                                     std::int64_t max_length) {
  std::vector<ViewedToken> tokens;
  std::string open;  // bytes that do not yet end a character
  for (std::size_t i = 0; i < row.tokens.size(); ++i) {
    const TokenId id = row.tokens[i];
    const bool special = tokenizer.is_special(id);
    const bool cut = static_cast<std::int64_t>(i) >= max_length;
    const TokenFate fate = cut                         ? TokenFate::kCut
                           : row.mask[i] != 0 && i > 0 ? TokenFate::kTrained
                                                       : TokenFate::kUntrained;
    const std::string bytes = special ? tokenizer.decode({id}, false) : tokenizer.token_bytes(id);
    const bool joins = !open.empty() && !special && tokens.back().fate == fate;
    if (!joins) {
      tokens.push_back({"", {}, fate, special});
      open.clear();
    }
    open += bytes;
    tokens.back().ids.push_back(id);
    tokens.back().text = to_valid_utf8(open);
    if (incomplete_utf8_tail(open) == 0) open.clear();
  }
  return tokens;
}

std::string mask_text(const std::vector<ViewedToken>& tokens, bool color) {
  std::string text = color ? fmt::format(
                                 "\033[32mtrained{0}  \033[2muntrained{0}  \033[35mspecial{0}  "
                                 "\033[1;35;4mspecial, trained{0}  \033[9;31mcut{0}\n\n",
                                 kReset)
                           : std::string("«trained»  untrained  {cut: beyond max_length}\n\n");
  TokenFate open = TokenFate::kUntrained;
  const auto turn = [&](TokenFate fate) {
    if (fate == open) return;
    if (open == TokenFate::kTrained) text += "»";
    if (open == TokenFate::kCut) text += "}";
    if (fate == TokenFate::kTrained) text += "«";
    if (fate == TokenFate::kCut) text += "{cut: ";
    open = fate;
  };
  for (const ViewedToken& token : tokens) {
    if (color) {
      text += fmt::format("{}{}{}", color_of(token), printable(token.text), kReset);
    } else {
      turn(token.fate);
      text += printable(token.text);
    }
  }
  if (!color) turn(TokenFate::kUntrained);
  return text + "\n";
}

std::string mask_html(const std::vector<ViewedToken>& tokens) {
  std::string html;
  for (const ViewedToken& token : tokens) {
    const std::string_view fate = token.fate == TokenFate::kTrained ? "trained"
                                  : token.fate == TokenFate::kCut   ? "cut"
                                                                    : "untrained";
    html += fmt::format("<span class=\"token {}{}\" title=\"{}\">{}</span>", fate, token.special ? " special" : "",
                        fmt::format("id {}", fmt::join(token.ids, " ")), escape_html(printable(token.text)));
  }
  return html;
}

}  // namespace attune
