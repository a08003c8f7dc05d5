#include "token/word_scanner.h"

#include <array>
#include <cstdint>

#include "base/utf8.h"
#include "token/unicode.h"

namespace attune {
namespace {

// What the patterns tell apart. kLine is white space as well.
enum Kind : std::uint8_t { kOther, kLetter, kNumber, kSpace, kLine };

Kind kind_of(char32_t c) {
  if (c == '\r' || c == '\n') return kLine;
  if (is_white_space(c)) return kSpace;
  const char category = category_letter(c);
  return category == 'L' ? kLetter : category == 'N' ? kNumber : kOther;
}

// The Basic Multilingual Plane in a table; what lies above is rare enough to be looked up.
constexpr char32_t kTable = 0x10000;
const std::array<Kind, kTable>& kinds() {
  static const std::array<Kind, kTable> table = [] {
    std::array<Kind, kTable> made{};
    for (char32_t c = 0; c < kTable; ++c) made[c] = kind_of(c);
    return made;
  }();
  return table;
}

// Reads characters from one position on. Always inline, so that it lives in registers: its size would keep it from that.
class Reader {
 public:
  [[gnu::always_inline]] Reader(std::string_view text, std::size_t at)
      : text_(text), table_(kinds().data()), at_(at), now_(character(at, text_, table_)) {}

  bool end() const { return at_ >= text_.size(); }
  Kind kind() const { return now_.kind; }  // kOther at the end
  char byte() const { return text_[at_]; }
  std::size_t at() const { return at_; }
  [[gnu::always_inline]] void next() {
    at_ = now_.next;
    now_ = character(at_, text_, table_);
  }
  [[gnu::always_inline]] void skip(Kind kind) {
    while (!end() && now_.kind == kind) next();
  }

 private:
  struct Character {
    Kind kind;
    std::size_t next;  // where the one after it begins
  };

  [[gnu::always_inline]] static Character character(std::size_t at, std::string_view text, const Kind* table) {
    if (at >= text.size()) return {kOther, at};
    const auto byte_at = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
    const auto tail = [&](std::size_t i) { return byte_at(i) & 0x3Fu; };
    const char32_t first = byte_at(0);
    if (first < 0x80) return {table[first], at + 1};
    if (first < 0xE0) return {table[(first & 0x1Fu) << 6 | tail(1)], at + 2};
    if (first < 0xF0) return {table[(first & 0x0Fu) << 12 | tail(1) << 6 | tail(2)], at + 3};
    return {kind_of((first & 0x07u) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)), at + 4};
  }

  std::string_view text_;
  const Kind* table_;
  std::size_t at_;
  Character now_;
};

// 's|'t|'re|'ve|'m|'ll|'d: its end, or `begin`. Without regard to case, U+017F is an s as well.
std::size_t contraction(std::string_view text, std::size_t begin, bool any_case) {
  if (text[begin] != '\'' || begin + 1 >= text.size()) return begin;
  const auto letter = [&](std::size_t offset) {
    if (begin + offset >= text.size()) return '\0';
    const char c = text[begin + offset];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return begin + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
    return begin + 3;
  if (any_case && text.substr(begin + 1).starts_with("\xC5\xBF")) return begin + 3;
  return begin;
}

// \s+(?!\S)|\s+ where white space stands: all of it, but for the last character when something follows.
std::size_t spaces(Reader reader) {
  const std::size_t begin = reader.at();
  std::size_t last = begin;
  while (!reader.end() && (reader.kind() == kSpace || reader.kind() == kLine)) {
    last = reader.at();
    reader.next();
  }
  return reader.end() || last == begin ? reader.at() : last;
}

std::size_t gpt2_end(std::string_view text, std::size_t begin) {
  if (const std::size_t end = contraction(text, begin, false); end > begin) return end;
  Reader reader(text, begin);
  if (reader.byte() == ' ') {
    Reader after = reader;
    after.next();
    if (after.end() || after.kind() == kSpace || after.kind() == kLine) return spaces(reader);
    reader = after;
  }
  if (reader.kind() == kSpace || reader.kind() == kLine) return spaces(reader);
  reader.skip(reader.kind());
  return reader.at();
}

// \s*[\r\n]+ up to the last line end of the white space at `reader`: its end, or where it stands when there is none.
std::size_t line_ends(Reader reader) {
  std::size_t end = reader.at();
  while (!reader.end() && (reader.kind() == kSpace || reader.kind() == kLine)) {
    const bool line = reader.kind() == kLine;
    reader.next();
    if (line) end = reader.at();
  }
  return end;
}

template <int Digits>
std::size_t llama3_end(std::string_view text, std::size_t begin) {
  if (const std::size_t end = contraction(text, begin, true); end > begin) return end;
  Reader reader(text, begin);
  const Kind first = reader.kind();
  if (first == kLetter) {
    reader.skip(kLetter);
    return reader.at();
  }
  if (first == kNumber) {
    for (int digits = 0; digits < Digits && !reader.end() && reader.kind() == kNumber; ++digits) reader.next();
    return reader.at();
  }
  Reader after = reader;
  after.next();
  if (first != kLine && !after.end() && after.kind() == kLetter) {  // [^\r\n\p{L}\p{N}]?\p{L}+
    after.skip(kLetter);
    return after.at();
  }
  const bool space = text[begin] == ' ' && !after.end() && after.kind() == kOther;
  if (space || first == kOther) {  // ' ?[^\s\p{L}\p{N}]+[\r\n]*'
    if (space) reader = after;
    reader.skip(kOther);
    reader.skip(kLine);
    return reader.at();
  }
  const std::size_t lines = line_ends(reader);
  return lines > begin ? lines : spaces(reader);
}

}  // namespace

PieceEnd scanner_for(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return &gpt2_end;
  if (pattern == kLlama3Pattern) return &llama3_end<3>;
  if (pattern == kQwen2Pattern) return &llama3_end<1>;
  return nullptr;
}

}  // namespace attune
