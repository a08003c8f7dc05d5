// UTF-8 at the level of code points. Normalization and character classes come from utf8proc where they are needed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attune {

// The code point at text[position] and the position after it. A byte that starts no valid sequence (overlong forms,
// surrogates and values above U+10FFFF included) yields valid=false, code_point=U+FFFD and one byte consumed, except
// that a truncated valid prefix is consumed whole, as Python's and WHATWG's decoders do.
struct Utf8Step {
  char32_t code_point;
  std::size_t next;
  bool valid;
};
Utf8Step decode_utf8_sequence(std::string_view text, std::size_t position);  // whatever byte stands there
inline Utf8Step decode_utf8(std::string_view text, std::size_t position) {
  const auto byte = static_cast<unsigned char>(text[position]);
  if (byte < 0x80) return {byte, position + 1, true};
  if (byte >= 0xC2 && byte < 0xE0 && position + 1 < text.size()) {  // the accented letters of Europe
    const auto second = static_cast<unsigned char>(text[position + 1]);
    if ((second & 0xC0) == 0x80) return {(byte & 0x1Fu) << 6 | (second & 0x3Fu), position + 2, true};
  }
  return decode_utf8_sequence(text, position);
}

void append_utf8(std::string& text, char32_t code_point);

bool is_valid_utf8(std::string_view text);

// Invalid sequences replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);

// Number of bytes at the end of `text` that begin, but do not complete, a valid sequence (0-3): what a stream of
// pieces must hold back.
std::size_t incomplete_utf8_tail(std::string_view text);

}  // namespace attune
