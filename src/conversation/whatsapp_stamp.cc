#include "conversation/whatsapp_stamp.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr std::size_t kMaxStampBytes = 160;
constexpr int kMaxNumbers = 6;
constexpr int kMaxWordLetters = 24;  // between two numbers
constexpr int kMaxUnitLetters = 4;   // "h", "時", "giờ" between hour and minute; "年" in a date

// What stands between two numbers, or after the last.
struct Gap {
  std::string separators;  // . / - : , as ASCII
  std::string words;       // folded, separated by one space; inner dots dropped
  int letters = 0;
  bool space = false;
};

struct Scan {
  std::array<int, kMaxNumbers> number{};
  std::array<int, kMaxNumbers> digits{};
  std::array<Gap, kMaxNumbers> gap;  // gap[i] follows number[i]
  int count = 0;
  char end = 0;  // ']', '-' or ':': how the stamp ended
  std::size_t body = 0;
};

char separator(char32_t c) {
  switch (c) {
    case '.':
    case '/':
    case '-':
    case ':':
    case ',':
      return static_cast<char>(c);
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212:
      return '-';
    case 0x060C:
    case 0x3001:
    case 0xFF0C:
      return ',';
    case 0xFF0F:
    case 0x2044:
      return '/';
    case 0xFF1A:
      return ':';
    case 0xFF0E:
    case 0x06D4:
      return '.';
    default:
      return 0;
  }
}

// Letters and the marks and quotes that words around a time may contain (p.m., לפנה״צ, o'clock).
bool is_word_part(char32_t c) {
  if (c < 0x80) return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\'';
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
      return true;
    default:
      return c == 0x05F3 || c == 0x05F4 || c == 0x2019 || c == 0x200C || c == 0x200D || c == 0xB7;
  }
}

// After the stamp's end: spaces and marks that belong to the layout. Text's own mark (U+200E before a notice)
// stays.
std::size_t skip_spaces(std::string_view line, std::size_t at) {
  while (at < line.size()) {
    const Utf8Step step = decode_utf8(line, at);
    if (!is_space(step.code_point)) break;
    at = step.next;
  }
  return at;
}

bool space_at(std::string_view line, std::size_t at) {
  return at < line.size() && is_space(decode_utf8(line, at).code_point);
}

void append_letter(Gap& gap, char32_t c, bool new_word) {
  if (new_word && !gap.words.empty()) gap.words += ' ';
  append_utf8(gap.words, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  ++gap.letters;
}

// Reads numbers and what stands between them until the stamp's end. False: the line begins with no stamp.
bool scan_stamp(std::string_view line, Scan& scan) {
  std::size_t at = 0;
  bool bracket = false, in_number = false, in_word = false, started = false;
  while (at < line.size() && at < kMaxStampBytes) {
    const Utf8Step step = decode_utf8(line, at);
    const char32_t c = step.code_point;
    at = step.next;
    if (!step.valid) return false;
    if (is_mark(c)) continue;
    if (!started && c == '[') {
      bracket = started = true;
      continue;
    }
    if (const int digit = digit_value(c); digit >= 0) {
      started = true;
      if (!in_number) {
        if (scan.count == kMaxNumbers) return false;
        ++scan.count;
      }
      const int i = scan.count - 1;
      if (++scan.digits[i] > 4) return false;
      scan.number[i] = scan.number[i] * 10 + digit;
      in_number = true, in_word = false;
      continue;
    }
    if (scan.count == 0) {
      if (bracket && is_space(c)) continue;
      return false;  // a stamp begins with a number
    }
    Gap& gap = scan.gap[scan.count - 1];
    in_number = false;
    const bool complete = scan.count >= 5;
    if (bracket && c == ']') {
      scan.end = ']';
      scan.body = skip_spaces(line, at);
      return complete;
    }
    if (is_space(c)) {
      gap.space = true;
      in_word = false;
      continue;
    }
    const char mark = separator(c);
    if (mark != 0) {
      const bool dash = mark == '-' && gap.space && space_at(line, at);
      const bool colon = mark == ':' && space_at(line, at);
      if (!bracket && complete && (dash || colon)) {
        scan.end = mark;
        scan.body = skip_spaces(line, at);
        return true;
      }
      if (mark == '.' && gap.letters > 0) {  // "p.m.", "г.": part of the word
        in_word = line.size() > at && is_word_part(decode_utf8(line, at).code_point);
        continue;
      }
      gap.separators += mark;
      if (gap.separators.size() > 3) return false;
      continue;
    }
    if (!is_word_part(c) || gap.letters == kMaxWordLetters) return false;
    append_letter(gap, c, !in_word);
    in_word = true;
  }
  return false;
}

bool is_date_gap(const Gap& gap) {
  const std::string& s = gap.separators;
  if (s == "." || s == "/" || s == "-") return gap.letters == 0;
  return s.empty() && gap.letters > 0 && gap.letters <= 2;  // 2023年12月31日
}

bool is_time_gap(const Gap& gap) {
  const std::string& s = gap.separators;
  if (s == ":" || s == ".") return gap.letters == 0;
  return s.empty() && gap.letters > 0 && gap.letters <= kMaxUnitLetters;
}

void append_shape(std::string& shape, const Gap& gap) {
  shape += gap.separators;
  if (gap.letters > 0) shape += 'w';
}

}  // namespace

std::optional<WhatsAppStamp> find_whatsapp_stamp(std::string_view line) {
  Scan scan;
  if (!scan_stamp(line, scan)) return std::nullopt;
  const int times = scan.count - 3;  // 2, or 3 with seconds
  // Vietnamese and a few others write the time first: only a time has a colon after its first number.
  const bool time_first = scan.gap[0].separators == ":";
  const int time = time_first ? 0 : 3, date = time_first ? times : 0;
  for (int i = date; i < date + 2; ++i) {
    if (!is_date_gap(scan.gap[i])) return std::nullopt;
  }
  for (int i = time; i < time + times - 1; ++i) {
    if (!is_time_gap(scan.gap[i])) return std::nullopt;
  }
  const Gap& between = scan.gap[time_first ? times - 1 : 2];
  if (!between.space && between.letters == 0 && between.separators.empty()) return std::nullopt;

  WhatsAppStamp stamp;
  for (int i = 0; i < 3; ++i) {
    stamp.date[i] = scan.number[date + i];
    stamp.width[i] = static_cast<std::uint8_t>(scan.digits[date + i]);
    stamp.exists = stamp.exists && stamp.date[i] != 0;
  }
  stamp.hour = scan.number[time];
  stamp.minute = scan.number[time + 1];
  stamp.second = times == 3 ? scan.number[time + 2] : 0;
  if (scan.digits[time + 1] != 2) return std::nullopt;
  stamp.exists = stamp.exists && stamp.hour <= 24 && stamp.minute <= 59 && stamp.second <= 60;

  // The words that may say which half of the day it is: beside the time, on either side.
  const std::string& after = scan.gap[time + times - 1].words;
  const std::string& before = time_first ? std::string() : between.words;
  const std::string& last = time_first ? scan.gap[scan.count - 1].words : std::string();
  if (!before.empty() || !after.empty() || !last.empty()) stamp.words = before + '|' + after + last;

  stamp.shape += scan.end;
  for (int i = 0; i < scan.count; ++i) {
    stamp.shape += i >= date && i < date + 3 && scan.digits[i] > 2 ? 'Y' : 'n';
    append_shape(stamp.shape, scan.gap[i]);
  }
  stamp.body = scan.body;
  return stamp;
}

std::optional<WhatsAppStamp> parse_whatsapp_stamp(std::string_view line) {
  auto stamp = find_whatsapp_stamp(line);
  if (stamp && !stamp->exists) stamp.reset();
  return stamp;
}

bool is_copied_shape(std::string_view shape) {
  return shape.starts_with(']') &&
         std::count_if(shape.begin(), shape.end(), [](char c) { return c == 'n' || c == 'Y'; }) == 5;
}

}  // namespace attune
