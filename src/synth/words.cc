#include "synth/words.h"

#include <utf8proc.h>

#include <cstdlib>
#include <utility>

#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

enum class Kind { kOther, kLetter, kCapital, kMark, kDigit, kAlone };

// Scripts that put no space between words.
bool is_unspaced(char32_t c) {
  return (c >= 0x0E00 && c < 0x0F00) || (c >= 0x1000 && c < 0x10A0) || (c >= 0x1780 && c < 0x1800) ||
         (c >= 0x3040 && c < 0x3100) || (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) ||
         (c >= 0x20000 && c < 0x32000);
}

Kind kind_of(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return Kind::kCapital;
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_NL:
      return is_unspaced(c) ? Kind::kAlone : Kind::kLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
      return Kind::kMark;
    case UTF8PROC_CATEGORY_ND:
      return Kind::kDigit;
    default:
      return Kind::kOther;
  }
}

std::string fold(std::string_view word) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD |
                                                      UTF8PROC_IGNORE | UTF8PROC_STRIPMARK);
  const utf8proc_ssize_t length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(word.data()),
                                               static_cast<utf8proc_ssize_t>(word.size()), &mapped, options);
  if (length < 0) return std::string(word);
  std::string folded(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length));
  std::free(mapped);
  return folded;
}

bool is_quote(char32_t c) { return c == '"' || c == 0x201C || c == 0x201E || c == 0xAB || c == 0x2018; }
bool ends_sentence(char32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x3002 || c == 0xFF1F; }
bool is_closing(char32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201D || c == 0x2019 || c == 0xBB;
}
bool is_group_space(char32_t c) { return c == ' ' || c == 0xA0 || c == 0x202F || c == 0x2009; }

class WordReader {
 public:
  explicit WordReader(std::string_view text) : text_(text) {}

  std::vector<Word> read() {
    while (at_ < text_.size()) {
      const Utf8Step step = decode_utf8(text_, at_);
      const Kind kind = step.valid ? kind_of(step.code_point) : Kind::kOther;
      if (kind == Kind::kDigit) {
        read_number();
      } else if (kind == Kind::kLetter || kind == Kind::kCapital) {
        read_letters(kind == Kind::kCapital);
      } else if (kind == Kind::kAlone) {
        add(fold(text_.substr(at_, step.next - at_)), step.next, false, false, 1);
      } else {
        const char32_t c = step.code_point;
        if (ends_sentence(c) || is_quote(c) || std::u32string_view(U"\n:#*-•").find(c) != std::u32string_view::npos) {
          begins_ = true;
        }
        at_ = step.next;
      }
    }
    return std::move(words_);
  }

 private:
  void add(std::string folded, std::size_t next, bool number, bool capital, std::size_t letters) {
    at_ = next;
    if (!folded.empty()) words_.push_back({std::move(folded), number, capital, begins_, letters});
    begins_ = false;
  }

  void read_letters(bool capital) {
    std::size_t end = at_, letters = 0;
    while (end < text_.size()) {
      const Utf8Step step = decode_utf8(text_, end);
      const Kind kind = step.valid ? kind_of(step.code_point) : Kind::kOther;
      if (kind != Kind::kLetter && kind != Kind::kCapital && kind != Kind::kMark && step.code_point != '_') break;
      if (kind != Kind::kMark) ++letters;
      end = step.next;
    }
    add(fold(text_.substr(at_, end - at_)), end, false, capital, letters);
  }

  // Digits of any script as ASCII, with the separators that stand between digits; a space only before three digits.
  void read_number() {
    std::string number;
    std::size_t group = 0, end = at_;
    while (true) {
      for (; end < text_.size(); ++group) {
        const Utf8Step step = decode_utf8(text_, end);
        const int digit = step.valid ? digit_value(step.code_point) : -1;
        if (digit < 0) break;
        number += static_cast<char>('0' + digit);
        end = step.next;
      }
      if (end >= text_.size()) break;
      const Utf8Step separator = decode_utf8(text_, end);
      const std::size_t digits = digits_at(separator.next);
      const bool point = (separator.code_point == '.' || separator.code_point == ',') && digits > 0;
      const bool space = is_group_space(separator.code_point) && digits == 3 && group <= 3;
      if (!point && !space) break;
      number += point ? static_cast<char>(separator.code_point) : ' ';
      end = separator.next;
      group = 0;
    }
    if (number.empty()) {  // a digit that is none in decimal
      number = std::string(text_.substr(at_, decode_utf8(text_, at_).next - at_));
      end = decode_utf8(text_, at_).next;
    }
    const std::size_t length = number.size();
    add(std::move(number), end, true, false, length);
  }

  std::size_t digits_at(std::size_t position) const {
    std::size_t count = 0;
    while (position < text_.size()) {
      const Utf8Step step = decode_utf8(text_, position);
      if (!step.valid || digit_value(step.code_point) < 0) break;
      position = step.next;
      ++count;
    }
    return count;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool begins_ = true;
  std::vector<Word> words_;
};

// Whether a sentence that ends before `next` really does: not before a small letter, and not after "J." or "pl.".
bool is_end(std::string_view text, std::size_t stop, std::size_t next) {
  while (next < text.size() && (text[next] == ' ' || text[next] == '\t')) ++next;
  if (next >= text.size() || text[next] == '\n') return true;
  if (kind_of(decode_utf8(text, next).code_point) == Kind::kLetter) return false;
  const std::size_t word = text.find_last_of(" \n\t(", stop == 0 ? 0 : stop - 1);
  const std::size_t begin = word == text.npos ? 0 : word + 1;
  return text[stop] != '.' || length_of(text.substr(begin, stop - begin)) > 1;
}

}  // namespace

std::vector<Word> words_of(std::string_view text) { return WordReader(text).read(); }

std::vector<std::string_view> sentences_of(std::string_view text) {
  std::vector<std::string_view> sentences;
  std::size_t begin = 0;
  const auto cut = [&](std::size_t end) {
    const std::string_view sentence = trim(text.substr(begin, end - begin));
    if (!sentence.empty()) sentences.push_back(sentence);
    begin = end;
  };
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    std::size_t next = step.next;
    if (step.code_point == '\n') {
      cut(i);
    } else if (ends_sentence(step.code_point)) {
      while (next < text.size()) {
        const Utf8Step after = decode_utf8(text, next);
        if (!is_closing(after.code_point) && !ends_sentence(after.code_point)) break;
        next = after.next;
      }
      const bool wide = step.code_point == 0x3002 || step.code_point == 0xFF1F;
      const bool space = next >= text.size() || text[next] == ' ' || text[next] == '\n' || text[next] == '\t';
      if (wide || (space && is_end(text, i, next))) cut(next);
    }
    i = next;
  }
  cut(text.size());
  return sentences;
}

std::size_t length_of(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) i = decode_utf8(text, i).next;
  return count;
}

}  // namespace attune
