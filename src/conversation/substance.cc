#include "conversation/substance.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

bool is_link(std::string_view word) {
  return word.starts_with("http://") || word.starts_with("https://") || word.starts_with("www.");
}

// Letters and numbers of every script.
bool is_word_character(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

// The end of the user-perceived character (grapheme cluster, UAX #29) that begins at `begin`.
std::size_t grapheme_end(std::string_view text, std::size_t begin) {
  utf8proc_int32_t state = 0;
  Utf8Step step = decode_utf8(text, begin);
  while (step.next < text.size()) {
    const Utf8Step after = decode_utf8(text, step.next);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(step.code_point),
                                         static_cast<utf8proc_int32_t>(after.code_point), &state)) {
      break;
    }
    step = after;
  }
  return step.next;
}

}  // namespace

void Substance::add(std::string_view text) {
  for (std::size_t i = 0; i < text.size() && !words;) {
    const Utf8Step step = decode_utf8(text, i);
    if (is_blank(step.code_point)) {
      i = step.next;
    } else if (is_link(text.substr(i))) {
      links = true;
      i = std::min(text.find_first_of(" \t\r\n", i), text.size());
    } else if (is_word_character(step.code_point)) {
      words = true;
    } else {
      const std::size_t end = grapheme_end(text, i);
      const std::string_view one = text.substr(i, end - i);
      if (sign.empty()) sign = one;
      several_signs = several_signs || sign != one;
      i = end;
    }
  }
}

}  // namespace attune
