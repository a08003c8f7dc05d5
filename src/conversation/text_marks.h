// Text helpers for exports: the invisible marks that chat programs put around what they generate, spaces of
// every kind, decimal digits of every script, and a cheap folding for comparing phrases and names.
#pragma once

#include <string>
#include <string_view>

namespace attune {

// U+200E, the mark that WhatsApp puts before text of its own ("image omitted", "<attached: ...>").
inline constexpr std::string_view kLeftToRightMark = "\xE2\x80\x8E";

// Direction marks, isolates, embeddings and the byte order mark: invisible, and never the sender's words.
// (The joiners U+200C and U+200D are not among them: Persian and emoji need them.)
inline bool is_mark(char32_t c) {
  if (c < 0x61C) return false;
  return c == 0x200E || c == 0x200F || c == 0x061C || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF;
}

// Space, tab, no-break spaces and the other Unicode spaces; not line ends.
inline bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || c == '\t';
  return c == 0x00A0 || c == 0x202F || c == 0x3000 || (c >= 0x2000 && c <= 0x200A) || c == 0x205F || c == 0x1680;
}

// A space, a line end or a mark.
inline bool is_blank(char32_t c) { return is_space(c) || is_mark(c) || c == '\n' || c == '\r'; }

// 0-9 for a decimal digit of any script (Unicode category Nd), else -1.
int digit_value(char32_t c);

// Without marks.
std::string strip_marks(std::string_view text);

// Without white space (of any kind, line ends too) and marks at both ends.
std::string_view trim(std::string_view text);

// For comparing phrases: marks dropped, runs of spaces made one, letters lower-cased, end stop (. 。 । ۔)
// dropped.
std::string fold_phrase(std::string_view text);

// For comparing names: composed and case-folded (Unicode), marks dropped, spaces made one, a leading "~"
// dropped (WhatsApp's sign for people who are not in the address book).
std::string fold_name(std::string_view name);

// A sender as shown: marks and a leading "~" dropped, no-break spaces made plain, trimmed.
std::string clean_name(std::string_view name);

}  // namespace attune
