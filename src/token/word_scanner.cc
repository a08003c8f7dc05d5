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

// Reads characters from one position on.
class Reader {
 public:
  Reader(std::string_view text, std::size_t at) : text_(text), table_(kinds().data()), at_(at) { read(); }

  bool end() const { return at_ >= text_.size(); }
  Kind kind() const { return kind_; }  // kOther at the end
  char byte() const { return text_[at_]; }
  std::size_t at() const { return at_; }
  void next() {
    at_ = next_;
    read();
  }
  void skip(Kind kind) {
    while (!end() && kind_ == kind) next();
  }

 private:
  void read() {
    if (at_ >= text_.size()) {
      kind_ = kOther;
      return;
    }
    const auto first = static_cast<unsigned char>(text_[at_]);
    char32_t c = first;
    if (first < 0x80) {
      next_ = at_ + 1;
    } else if (first < 0xE0) {
      c = (first & 0x1Fu) << 6 | byte_at(1);
      next_ = at_ + 2;
    } else if (first < 0xF0) {
      c = (first & 0x0Fu) << 12 | byte_at(1) << 6 | byte_at(2);
      next_ = at_ + 3;
    } else {
      c = (first & 0x07u) << 18 | byte_at(1) << 12 | byte_at(2) << 6 | byte_at(3);
      next_ = at_ + 4;
    }
    kind_ = c < kTable ? table_[c] : kind_of(c);
  }
  char32_t byte_at(std::size_t offset) const { return static_cast<unsigned char>(text_[at_ + offset]) & 0x3Fu; }

  std::string_view text_;
  const Kind* table_;
  std::size_t at_, next_ = 0;
  Kind kind_ = kOther;
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
