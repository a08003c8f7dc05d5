// Character classes, case and normal forms as the reference tokenizers see them. They come from utf8proc and
// PCRE2 (Unicode 14); the tables in unicode.cc hold the few code points that the references (Oniguruma and
// Rust, Unicode 16) class otherwise, so that ids do not depend on the version of a system library.
#pragma once

#include <string>
#include <string_view>

namespace attune {

bool is_white_space(char32_t c);     // property White_Space: Oniguruma's \s and Rust's char::is_whitespace
bool is_word_character(char32_t c);  // \w of Rust's regex: letters, marks, decimal digits, connectors, joiners
bool is_numeric(char32_t c);         // general category N
char category_letter(char32_t c);    // first letter of the general category as \p{L}, \p{N}, ... of patterns see it
bool is_punctuation(char32_t c);     // ASCII punctuation or general category P (Unicode 8, as the reference)

// Lower case of each code point by itself (no rules that look at the neighbours). `text` is valid UTF-8.
std::string to_lower_case(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Whether a quick look shows that `text` is in NFC: every character is, and none combines with what stands before it.
bool is_surely_nfc(std::string_view text);
std::string normalize_unicode(std::string_view text, NormalForm form);  // `text` is valid UTF-8

// The code points of general category `category` ("L", "Lu", "Nd", ...) or script Han that PCRE2's tables
// lack, as the inside of a character class ("\x{31350}-\x{323AF}..."); empty when it lacks none.
std::string newer_code_points(std::string_view category);

}  // namespace attune
