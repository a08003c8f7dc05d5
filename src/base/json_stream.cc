#include "base/json_stream.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr int kMaxDepth = 256;
constexpr std::size_t kMaxTreeBytes = std::size_t{1} << 24;

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

bool is_high_surrogate(unsigned unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(unsigned unit) { return unit >= 0xDC00 && unit < 0xE000; }

}  // namespace

JsonStream::JsonStream(const PagedText& text, std::string name, std::size_t max_string)
    : paged_(text), text_(paged_.all()), name_(std::move(name)), max_string_(max_string) {}

std::string JsonStream::place() const {
  const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
  const auto line = std::count(text_.begin(), end, '\n') + 1;
  return record_ == 0 ? fmt::format("{}:{}", name_, line) : fmt::format("{}:{}, record {}", name_, line, record_);
}

void JsonStream::fail(const std::string& message) const { throw BadFile("[{}] {}", place(), message); }

char JsonStream::next_character() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

JsonStream::Kind JsonStream::peek() {
  const char c = next_character();
  if (at_ == text_.size()) return Kind::kEnd;
  if (c == '{') return Kind::kObject;
  if (c == '[') return Kind::kArray;
  if (c == '"') return Kind::kString;
  return c == '-' || (c >= '0' && c <= '9') ? Kind::kNumber : Kind::kLiteral;
}

void JsonStream::open(char bracket, const char* wanted) {
  if (peek() == Kind::kEnd) fail("the file ends in the middle of its JSON; it is cut off");
  if (text_[at_] != bracket) fail(fmt::format("expected {}", wanted));
  if (++depth_ > kMaxDepth) fail(fmt::format("JSON is nested deeper than {}", kMaxDepth));
  ++at_;
  first_ = true;
}

// Before an element of a list or a closing bracket: true when an element follows.
bool JsonStream::next_item() {
  paged_.touch(at_);
  const char c = next_character();
  if (at_ == text_.size()) fail("the file ends in the middle of its JSON; it is cut off");
  if (c == ']') {
    ++at_, --depth_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (c != ',') fail("not valid JSON: expected , or ]");
    ++at_;
    next_character();
  }
  first_ = false;
  return true;
}

bool JsonStream::next_member(std::string& key) {
  const char c = next_character();
  if (at_ == text_.size()) fail("the file ends in the middle of its JSON; it is cut off");
  if (c == '}') {
    ++at_, --depth_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (c != ',') fail("not valid JSON: expected , or }");
    ++at_;
  }
  first_ = false;
  if (next_character() != '"') {
    fail(at_ == text_.size() ? "the file ends in the middle of its JSON; it is cut off"
                             : "not valid JSON: expected a key in quotes");
  }
  key = string();
  if (next_character() != ':') fail("not valid JSON: expected : behind a key");
  ++at_;
  return true;
}

unsigned JsonStream::hex4() {
  unsigned unit = 0;
  if (at_ + 4 > text_.size()) fail("the file ends in the middle of its JSON; it is cut off");
  const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, unit, 16);
  if (error != std::errc() || end != text_.data() + at_ + 4)
    fail("not valid JSON: \\u without four hexadecimal digits");
  at_ += 4;
  return unit;
}

// The character behind a backslash; a lone half of a surrogate pair becomes U+FFFD.
void JsonStream::append_escape(std::string& text) {
  const char c = at_ < text_.size() ? text_[at_++] : '\0';
  static constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (const auto known = kNames.find(c); c != '\0' && known != std::string_view::npos) {
    text += kMeanings[known];
    return;
  }
  if (c != 'u') fail("not valid JSON: unknown escape in a string");
  const unsigned unit = hex4();
  if (is_high_surrogate(unit) && text_.substr(at_, 2) == "\\u") {
    const std::size_t before = at_;
    at_ += 2;
    const unsigned low = hex4();
    if (is_low_surrogate(low)) {
      append_utf8(text, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
      return;
    }
    at_ = before;
  }
  append_utf8(text, is_high_surrogate(unit) || is_low_surrogate(unit) ? U'\uFFFD' : static_cast<char32_t>(unit));
}

std::string JsonStream::string() {
  if (peek() == Kind::kEnd) fail("the file ends in the middle of its JSON; it is cut off");
  if (text_[at_] != '"') fail("expected a string");
  const std::size_t begin = at_++;
  std::string result;
  for (;;) {
    std::size_t plain = at_;
    const std::size_t stop = std::min(text_.size(), at_ + (max_string_ - result.size()) + 1);
    while (plain < stop && text_[plain] != '"' && text_[plain] != '\\' &&
           static_cast<unsigned char>(text_[plain]) >= 0x20) {
      ++plain;
    }
    if (result.size() + (plain - at_) > max_string_) {
      at_ = begin;
      fail(fmt::format("a text of more than {} MB; no person writes one", max_string_ >> 20));
    }
    result.append(text_, at_, plain - at_);
    at_ = plain;
    if (at_ == text_.size()) fail("the file ends in the middle of a string; it is cut off");
    const char c = text_[at_++];
    if (c == '"') return result;
    if (c == '\\')
      append_escape(result);
    else
      result += c;  // a bare control character: exporters forget to escape them
  }
}

void JsonStream::skip_string() {
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\\')
      ++at_;
    else if (text_[at_] == '"')
      break;
  }
  if (at_ >= text_.size()) fail("the file ends in the middle of a string; it is cut off");
  ++at_;
}

void JsonStream::skip() {
  int open = 0;
  do {
    paged_.touch(std::min(at_, text_.size() - 1));
    switch (peek()) {
      case Kind::kEnd:
        fail("the file ends in the middle of its JSON; it is cut off");
      case Kind::kObject:
      case Kind::kArray:
        if (++open + depth_ > kMaxDepth) fail(fmt::format("JSON is nested deeper than {}", kMaxDepth));
        ++at_;
        continue;
      case Kind::kString:
        skip_string();
        break;
      default:
        if (const char c = text_[at_]; c == '}' || c == ']') {
          if (--open < 0) fail("not valid JSON: a value is missing");
          ++at_;
        } else if (open > 0 && (c == ',' || c == ':')) {
          ++at_;
        } else {
          const std::size_t end = std::min(text_.find_first_of(",]}: \n\r\t\"[{", at_), text_.size());
          if (end == at_) fail("not valid JSON: a value is missing");
          at_ = end;
        }
    }
  } while (open > 0);
  first_ = false;
}

std::string_view JsonStream::raw() {
  peek();
  const std::size_t begin = at_;
  skip();
  return text_.substr(begin, at_ - begin);
}

Json JsonStream::value() {
  const std::string_view text = raw();
  if (text.size() > kMaxTreeBytes) fail(fmt::format("a single value of {} bytes", text.size()));
  try {
    return parse_json(text, "");
  } catch (const BadFile&) {
    return parse_json(text, place());  // counting lines takes long: only now that it is needed
  }
}

std::string_view JsonStream::number(const char* wanted) {
  if (peek() != Kind::kNumber) fail(fmt::format("expected {}", wanted));
  return raw();
}

std::int64_t JsonStream::integer() {
  const std::string_view digits = number("an integer");
  std::int64_t result = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result);
  if (error != std::errc() || end != digits.data() + digits.size()) fail("expected an integer");
  return result;
}

bool JsonStream::boolean() {
  const std::string_view word = raw();
  if (word != "true" && word != "false") fail("expected true or false");
  return word == "true";
}

std::string JsonStream::string_or_empty() {
  if (peek() == Kind::kString) return string();
  skip();
  return "";
}

std::optional<std::int64_t> JsonStream::integer_like() {
  std::string quoted;
  std::string_view digits;
  if (peek() == Kind::kString)
    digits = quoted = string();
  else if (peek() == Kind::kNumber)
    digits = raw();
  else
    return skip(), std::nullopt;
  double result = 0;
  std::int64_t whole = 0;
  const char* const last = digits.data() + digits.size();
  if (const auto [end, error] = std::from_chars(digits.data(), last, whole); error == std::errc() && end == last) {
    return whole;
  }
  if (const auto [end, error] = std::from_chars(digits.data(), last, result); error == std::errc() && end == last) {
    if (std::abs(result) < 9e18) return static_cast<std::int64_t>(std::floor(result));
  }
  return std::nullopt;
}

void JsonStream::finish() {
  if (peek() != Kind::kEnd) fail("more text follows the end of the JSON; are these two files in one?");
}

}  // namespace attune
