#include "token/jinja/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"
#include "token/jinja/special_case.h"

namespace attune::jinja {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

const SpecialCase* special_case(char32_t c) {
  const auto* found = std::lower_bound(std::begin(kSpecialCases), std::end(kSpecialCases), c,
                                       [](const SpecialCase& row, char32_t value) { return row.character < value; });
  return found != std::end(kSpecialCases) && found->character == c ? found : nullptr;
}

char32_t simple(utf8proc_int32_t (*map)(utf8proc_int32_t), char32_t c) {
  return static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(c)));
}

void append_upper(std::u32string& out, char32_t c) {
  if (const SpecialCase* row = special_case(c))
    out += row->upper;
  else
    out += simple(utf8proc_toupper, c);
}

void append_title(std::u32string& out, char32_t c) {
  if (const SpecialCase* row = special_case(c))
    out += row->title;
  else
    out += simple(utf8proc_totitle, c);
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2018 || c == 0x2019 || c == 0x2024 ||
             c == 0x2027 || c == 0xFE13 || c == 0xFE52 || c == 0xFE55 || c == 0xFF07 || c == 0xFF0E || c == 0xFF1A;
  }
}

// Lower case of text[i]; a capital sigma that ends a word becomes the final form.
void append_lower(std::u32string& out, const std::u32string& text, std::size_t i) {
  const char32_t c = text[i];
  if (c == 0x130) {
    out += U"i\u0307";
    return;
  }
  if (c != 0x3A3) {
    out += simple(utf8proc_tolower, c);
    return;
  }
  std::size_t before = i;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  std::size_t after = i + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  const bool ends_word = before > 0 && is_cased(text[before - 1]) && !(after < text.size() && is_cased(text[after]));
  out += ends_word ? U'\u03C2' : U'\u03C3';
}

bool all_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Byte position before the code point that ends at `end`.
std::size_t previous(std::string_view text, std::size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

template <typename Predicate>
std::string_view strip_if(std::string_view text, Side side, Predicate drop) {
  std::size_t begin = 0, end = text.size();
  while ((side & kLeft) && begin < end) {
    const Utf8Step step = decode_utf8(text, begin);
    if (!drop(step.code_point)) break;
    begin = step.next;
  }
  while ((side & kRight) && end > begin) {
    const std::size_t start = previous(text, end);
    if (!drop(decode_utf8(text, start).code_point)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

std::u32string decode(std::string_view utf8) {
  std::u32string text;
  text.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size();) {
    const Utf8Step step = decode_utf8(utf8, i);
    text += step.code_point;
    i = step.next;
  }
  return text;
}

std::string encode(std::u32string_view text) {
  std::string utf8;
  for (char32_t c : text) append_utf8(utf8, c);
  return utf8;
}

std::size_t count_code_points(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_alpha(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool is_digit(char32_t c) {
  return is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) ||
         (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
}
bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x2160 && c <= 0x216F); }
bool is_lower(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA || (c >= 0x2170 && c <= 0x217F);
}
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_identifier(std::string_view name) {
  bool first = true;
  for (std::size_t i = 0; i < name.size();) {
    const Utf8Step step = decode_utf8(name, i);
    const auto kind = category(step.code_point);
    const bool start = is_alpha(step.code_point) || step.code_point == '_' || kind == UTF8PROC_CATEGORY_NL;
    const bool part = start || kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_MN ||
                      kind == UTF8PROC_CATEGORY_MC || kind == UTF8PROC_CATEGORY_PC;
    if (!step.valid || !(first ? start : part)) return false;
    first = false;
    i = step.next;
  }
  return !first;
}

std::string to_upper(std::string_view text) {
  if (all_ascii(text)) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), ascii_upper);
    return out;
  }
  std::u32string out;
  for (char32_t c : decode(text)) append_upper(out, c);
  return encode(out);
}

std::string to_lower(std::string_view text) {
  if (all_ascii(text)) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
    return out;
  }
  const std::u32string source = decode(text);
  std::u32string out;
  for (std::size_t i = 0; i < source.size(); ++i) append_lower(out, source, i);
  return encode(out);
}

std::string to_title(std::string_view text) {
  const std::u32string source = decode(text);
  std::u32string out;
  bool in_word = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (in_word)
      append_lower(out, source, i);
    else
      append_title(out, source[i]);
    in_word = is_cased(source[i]);
  }
  return encode(out);
}

std::string to_capitalized(std::string_view text) {
  const std::u32string source = decode(text);
  std::u32string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (i == 0)
      append_title(out, source[i]);
    else
      append_lower(out, source, i);
  }
  return encode(out);
}

std::string swap_case(std::string_view text) {
  const std::u32string source = decode(text);
  std::u32string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (is_upper(source[i]))
      append_lower(out, source, i);
    else if (is_lower(source[i]))
      append_upper(out, source[i]);
    else
      out += source[i];
  }
  return encode(out);
}

std::string_view strip(std::string_view text, Side side) { return strip_if(text, side, is_space); }

std::string_view strip(std::string_view text, Side side, std::string_view characters) {
  const std::u32string set = decode(characters);
  return strip_if(text, side, [&](char32_t c) { return set.find(c) != std::u32string::npos; });
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    std::size_t next = step.next;
    if (is_line_break(step.code_point)) {
      if (step.code_point == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : i) - begin));
      begin = next;
    }
    i = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  const Side side = from_right ? kRight : kLeft;
  for (text = strip(text, side); !text.empty(); text = strip(text, side)) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    std::size_t cut = from_right ? text.size() : 0;
    while (from_right && cut > 0 && !is_space(decode_utf8(text, previous(text, cut)).code_point)) {
      cut = previous(text, cut);
    }
    while (!from_right && cut < text.size() && !is_space(decode_utf8(text, cut).code_point)) {
      cut = decode_utf8(text, cut).next;
    }
    parts.push_back(from_right ? text.substr(cut) : text.substr(0, cut));
    text = from_right ? text.substr(0, cut) : text.substr(cut);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::string quote(std::string_view text) {
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char32_t mark = double_quotes ? '"' : '\'';
  std::string out(1, static_cast<char>(mark));
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    const char32_t c = step.code_point;
    i = step.next;
    if (c == mark || c == '\\')
      (out += '\\') += static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (is_printable(c))
      append_utf8(out, c);
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += fmt::format("\\U{:08x}", static_cast<unsigned>(c));
  }
  return out += static_cast<char>(mark);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace attune::jinja
