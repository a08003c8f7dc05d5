#include "privacy/characters.h"

#include <algorithm>

#include "base/utf8.h"

namespace attune {
namespace {

bool is_mark(char32_t c) {
  return c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

// Beyond ASCII a rough division is enough: punctuation, spaces and symbols have their own blocks.
bool is_word(char32_t c) {
  if (c < 0x80) return c == '_' || is_digit(static_cast<char>(c)) || is_ascii_letter(static_cast<char>(c));
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c >= 0x2000 && c < 0x2C00) return false;  // punctuation, arrows, symbols
  if (c >= 0x3000 && c < 0x3040) return false;  // CJK punctuation
  if (c >= 0xFE00 && c < 0xFE70) return false;  // variation selectors, forms
  if (c >= 0xFF00 && c < 0xFF10) return false;
  return c != 0xD7 && c != 0xF7 && c != 0xFFFD && c != 0xFEFF && c < 0x1F000;
}

}  // namespace

bool word_before(std::string_view text, std::size_t position) {
  while (position > 0) {
    std::size_t start = position - 1;
    if (const auto byte = static_cast<unsigned char>(text[start]); byte < 0x80) return is_word(char32_t{byte});
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const char32_t c = decode_utf8(text, start).code_point;
    if (!is_mark(c)) return is_word(c);
    position = start;
  }
  return false;
}

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return is_digit(c); }));
}

bool word_at(std::string_view text, std::size_t position) {
  while (position < text.size()) {
    const Utf8Step step = decode_utf8(text, position);
    if (!is_mark(step.code_point)) return is_word(step.code_point);
    position = step.next;
  }
  return false;
}

std::size_t separator_at(std::string_view text, std::size_t position, std::string_view more) {
  if (position >= text.size()) return 0;
  const char c = text[position];
  if (static_cast<unsigned char>(c) < 0x80) return c == ' ' || c == '-' || more.find(c) != std::string_view::npos;
  const Utf8Step step = decode_utf8(text, position);
  const char32_t point = step.code_point;
  const bool is = point == 0xA0 || point == 0x202F || (point >= 0x2007 && point <= 0x2015) || is_mark(point);
  return is ? step.next - position : 0;
}

DigitGroups read_groups(std::string_view text, std::size_t begin, std::size_t most, std::string_view more_separators) {
  DigitGroups groups;
  std::string separators;
  std::size_t visible = 0;  // separators since the last digit
  for (std::size_t i = begin; i < text.size();) {
    if (is_digit(text[i])) {
      std::size_t end = i;
      while (end < text.size() && is_digit(text[end])) ++end;
      if (groups.digits.size() + (end - i) > most) break;
      if (!groups.sizes.empty()) groups.separators.push_back(separators);
      groups.digits.append(text, i, end - i);
      groups.sizes.push_back(end - i);
      groups.ends.push_back(end);
      separators.clear();
      visible = 0;
      i = end;
      continue;
    }
    const std::size_t size = separator_at(text, i, more_separators);
    if (size == 0) break;
    if (!is_mark(decode_utf8(text, i).code_point) && ++visible > 2) break;
    separators.append(text, i, size);
    i += size;
  }
  return groups;
}

}  // namespace attune
