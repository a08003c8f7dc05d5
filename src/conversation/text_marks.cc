#include "conversation/text_marks.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/ascii.h"
#include "base/utf8.h"

namespace attune {
namespace {

// The zero of every run of ten decimal digits in Unicode 15.
constexpr char32_t kZeros[] = {0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,
                               0x0C66,  0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,
                               0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,
                               0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
                               0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
                               0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8,
                               0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0};

bool is_visible_ascii(char c) { return c > ' ' && c < 0x7F; }

bool is_stop(char32_t c) { return c == '.' || c == 0x3002 || c == 0x0964 || c == 0x06D4; }

}  // namespace

int digit_value(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9' ? static_cast<int>(c - '0') : -1;
  const auto above = std::upper_bound(std::begin(kZeros), std::end(kZeros), c);
  const char32_t offset = c - *std::prev(above);
  return offset < 10 ? static_cast<int>(offset) : -1;
}

std::string strip_marks(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size();) {
    // Only these bytes begin a mark; nearly every text has none of them.
    const char c = text[i];
    if (c != '\xD8' && c != '\xE2' && c != '\xEF') {
      ++i;
      continue;
    }
    const Utf8Step step = decode_utf8(text, i);
    if (is_mark(step.code_point)) {
      plain.append(text, copied, i - copied);
      copied = step.next;
    }
    i = step.next;
  }
  plain.append(text, copied);
  return plain;
}

std::string_view trim(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size() && !is_visible_ascii(text[begin])) {
    const Utf8Step step = decode_utf8(text, begin);
    if (!is_blank(step.code_point)) break;
    begin = step.next;
  }
  std::size_t end = text.size();
  while (end > begin && !is_visible_ascii(text[end - 1])) {
    std::size_t start = end - 1;
    while (start > begin && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!is_blank(decode_utf8(text, start).code_point)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::string fold_phrase(std::string_view text) {
  text = trim(text);
  std::string folded;
  folded.reserve(text.size());
  std::size_t end = 0;  // of `folded` without trailing stops and spaces
  for (std::size_t i = 0; i < text.size();) {
    if (is_visible_ascii(text[i])) {
      const std::size_t begin = i, at = folded.size();
      while (i < text.size() && is_visible_ascii(text[i])) ++i;
      const std::string_view word = text.substr(begin, i - begin);
      folded += word;
      for (std::size_t k = at; k < folded.size(); ++k) folded[k] = lower_ascii(folded[k]);
      if (const std::size_t last = word.find_last_not_of('.'); last != word.npos) end = at + last + 1;
      continue;
    }
    const Utf8Step step = decode_utf8(text, i);
    i = step.next;
    const char32_t c = step.code_point;
    if (is_mark(c)) continue;
    if (is_space(c) || c == '\n') {
      if (!folded.empty() && folded.back() != ' ') folded += ' ';
    } else if (c < 0x80) {
      folded += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    } else {
      append_utf8(folded, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
    if (!is_stop(c) && !is_space(c)) end = folded.size();
  }
  folded.resize(end);
  return folded;
}

std::string clean_name(std::string_view name) {
  std::string cleaned;
  for (std::size_t i = 0; i < name.size();) {
    const Utf8Step step = decode_utf8(name, i);
    i = step.next;
    if (is_mark(step.code_point)) continue;
    if (is_space(step.code_point)) {
      if (!cleaned.empty() && cleaned.back() != ' ') cleaned += ' ';
    } else if (!(cleaned.empty() && step.code_point == '~')) {
      append_utf8(cleaned, step.code_point);
    }
  }
  while (!cleaned.empty() && cleaned.back() == ' ') cleaned.pop_back();
  return cleaned;
}

std::string fold_name(std::string_view name) {
  const std::string cleaned = clean_name(name);
  utf8proc_uint8_t* mapped = nullptr;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(cleaned.data()),
                                             static_cast<utf8proc_ssize_t>(cleaned.size()), &mapped, options);
  if (size < 0) return cleaned;
  std::string folded(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
  std::free(mapped);
  return folded;
}

}  // namespace attune
