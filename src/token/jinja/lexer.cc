#include "token/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/utf8.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return is_digit_char(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

// \r\n and \r become \n, and one newline at the very end goes away.
std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

int hex_digit(char c) {
  if (is_digit_char(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lex_root();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool looking_at(std::string_view text, std::size_t at) const { return source_.compare(at, text.size(), text) == 0; }
  bool looking_at(std::string_view text) const { return looking_at(text, at_); }

  void add(TokenKind kind, std::string_view text) { tokens_.push_back({kind, line_, std::string(text)}); }

  template <typename... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    throw SyntaxError(line_, fmt::format(format, std::forward<Args>(args)...));
  }

  // Moves to `end`, counting lines.
  void advance(std::size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  std::size_t skip_space(std::size_t at) const {
    while (at < source_.size()) {
      const Utf8Step step = decode_utf8(source_, at);
      if (!is_space(step.code_point)) break;
      at = step.next;
    }
    return at;
  }

  // End of "{%[-+]? raw -?%}" that begins at `at`, or npos.
  std::size_t raw_begin_end(std::size_t at) const {
    at += 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = skip_space(at);
    if (!looking_at("raw", at)) return std::string::npos;
    at = skip_space(at + 3);
    if (looking_at("-%}", at)) return skip_space(at + 3);
    return looking_at("%}", at) ? at + 2 : std::string::npos;
  }

  // The end of a closing tag `close` at `at`, with its white-space control, or npos when there is none. `plus`: the
  // form "+close" exists; trim_blocks removes one newline after the plain form.
  std::size_t close_end(std::string_view close, std::size_t at, bool block) const {
    if (looking_at("-", at) && looking_at(close, at + 1)) return skip_space(at + 1 + close.size());
    if (block && looking_at("+", at) && looking_at(close, at + 1)) return at + 1 + close.size();
    if (!looking_at(close, at)) return std::string::npos;
    at += close.size();
    return block && at < source_.size() && source_[at] == '\n' ? at + 1 : at;
  }

  void finish_tag(std::size_t end) {
    line_starting_ = source_[end - 1] == '\n';
    advance(end);
  }

  // Text before a tag, with what white-space control leaves of it.
  std::string_view data_before(std::size_t tag, char sign, bool variable) const {
    const std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    if (sign == '-') return strip(text, kRight);
    if (sign == '+' || variable) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t line_start = newline == text.npos ? 0 : newline + 1;
    if (line_start == 0 && !line_starting_) return text;
    return strip(text.substr(line_start), kLeft).empty() ? text.substr(0, line_start) : text;
  }

  void lex_root() {
    std::size_t tag = at_;
    while ((tag = source_.find('{', tag)) != std::string::npos) {
      if (looking_at("{%", tag) || looking_at("{#", tag) || looking_at("{{", tag)) break;
      ++tag;
    }
    if (tag == std::string::npos) {
      add(TokenKind::kData, std::string_view(source_).substr(at_));
      advance(source_.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    const std::string_view data = data_before(tag, sign, kind == '{');
    if (!data.empty()) add(TokenKind::kData, data);
    advance(tag);
    const std::size_t raw_end = kind == '%' ? raw_begin_end(tag) : std::string::npos;
    if (raw_end != std::string::npos) {
      finish_tag(raw_end);
      return lex_raw();
    }
    advance(tag + 2 + (sign != '\0'));
    if (kind == '#') return lex_comment();
    add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, "");
    lex_tag(kind == '%');
  }

  void lex_comment() {
    if (at_ == source_.size()) return;  // jinja2 complains only about what follows
    for (std::size_t end = at_; end < source_.size(); ++end) {
      const std::size_t after = close_end("#}", end, true);
      if (after != std::string::npos) return finish_tag(after);
    }
    error("Missing end of comment tag");
  }

  void lex_raw() {
    if (at_ == source_.size()) return;
    for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      std::size_t at = tag + 2;
      const char sign = at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
      at = skip_space(at + (sign != '\0'));
      if (!looking_at("endraw", at)) continue;
      const std::size_t end = close_end("%}", skip_space(at + 6), true);
      if (end == std::string::npos) continue;
      const std::string_view data = data_before(tag, sign, false);
      if (!data.empty()) add(TokenKind::kData, data);
      return finish_tag(end);
    }
    error("Missing end of raw directive");
  }

  void lex_tag(bool block) {
    std::string open;  // closing brackets still expected, innermost last
    while (true) {
      if (open.empty()) {
        const std::size_t end = close_end(block ? "%}" : "}}", at_, block);
        if (end != std::string::npos) {
          add(block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd, "");
          return finish_tag(end);
        }
      }
      const std::size_t after_space = skip_space(at_);
      if (after_space != at_) {
        advance(after_space);
        continue;
      }
      if (at_ >= source_.size()) return;
      if (is_digit_char(source_[at_]))
        lex_number();
      else if (is_name_char(source_[at_]))
        lex_name();
      else if (source_[at_] == '\'' || source_[at_] == '"')
        lex_string();
      else
        lex_operator(open);
    }
  }

  // (\d+_)*\d+ from `at`; npos when there is no digit.
  std::size_t digits_end(std::size_t at, auto accepts) const {
    if (at >= source_.size() || !accepts(source_[at])) return std::string::npos;
    while (at < source_.size() &&
           (accepts(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && accepts(source_[at + 1])))) {
      ++at;
    }
    return at;
  }

  std::size_t float_end() const {
    if (at_ > 0 && source_[at_ - 1] == '.') return std::string::npos;
    std::size_t end = digits_end(at_, is_digit_char);
    bool fraction = false;
    if (looking_at(".", end)) {
      const std::size_t after = digits_end(end + 1, is_digit_char);
      if (after != std::string::npos) {
        end = after;
        fraction = true;
      }
    }
    if (looking_at("e", end) || looking_at("E", end)) {
      std::size_t exponent = end + 1;
      if (looking_at("+", exponent) || looking_at("-", exponent)) ++exponent;
      const std::size_t after = digits_end(exponent, is_digit_char);
      if (after != std::string::npos) return after;
    }
    return fraction ? end : std::string::npos;
  }

  void lex_number() {
    Token token{TokenKind::kFloat, line_, {}};
    std::size_t end = float_end();
    int base = 10;
    std::size_t begin = at_;
    if (end == std::string::npos) {
      token.kind = TokenKind::kInteger;
      const char letter = source_[at_] == '0' && at_ + 1 < source_.size() ? source_[at_ + 1] : '\0';
      const int prefix_base = letter == 'x' || letter == 'X'   ? 16
                              : letter == 'o' || letter == 'O' ? 8
                              : letter == 'b' || letter == 'B' ? 2
                                                               : 10;
      const auto in_base = [&](char c) { return hex_digit(c) >= 0 && hex_digit(c) < prefix_base; };
      if (prefix_base != 10) {
        end = digits_end(at_ + 2 + looking_at("_", at_ + 2), in_base);
        if (end != std::string::npos) {
          base = prefix_base;
          begin = at_ + 2;
        }
      }
      // A number that begins with 0 consists of zeros: "007" is 00 and 7.
      if (end == std::string::npos) {
        const bool zeros = source_[at_] == '0';
        end = digits_end(at_, [&](char c) { return zeros ? c == '0' : is_digit_char(c); });
      }
    }
    std::string text = source_.substr(begin, end - begin);
    std::erase(text, '_');
    if (token.kind == TokenKind::kFloat) {
      token.real = std::strtod(text.c_str(), nullptr);
    } else if (std::from_chars(text.data(), text.data() + text.size(), token.integer, base).ec != std::errc{}) {
      error("the number {} does not fit 64 bits", text);
    }
    tokens_.push_back(std::move(token));
    advance(end);
  }

  void lex_name() {
    std::size_t end = at_;
    while (end < source_.size() && is_name_char(source_[end])) ++end;
    const std::string_view name = std::string_view(source_).substr(at_, end - at_);
    if (!is_identifier(name)) error("unexpected char {} in a name", quote(name));
    add(TokenKind::kName, name);
    advance(end);
  }

  void lex_string() {
    const char mark = source_[at_];
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != mark) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) error("unexpected char {} (the string has no end)", quote(std::string_view(&mark, 1)));
    add(TokenKind::kString, unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1);
  }

  // Python's "unicode-escape".
  std::string unescape(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];  // lex_string() guarantees it
      static constexpr std::string_view kNames = "\\'\"abfnrtv", kValues = "\\'\"\a\b\f\n\r\t\v";
      const std::size_t name = kNames.find(c);
      if (name != kNames.npos) {
        out += kValues[name];
      } else if (c == '\n') {
        continue;
      } else if (c >= '0' && c <= '7') {
        char32_t value = 0;
        std::size_t count = 0;
        for (; count < 3 && i + count < text.size() && text[i + count] >= '0' && text[i + count] <= '7'; ++count) {
          value = value * 8 + static_cast<char32_t>(text[i + count] - '0');
        }
        append_utf8(out, value);
        i += count - 1;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        char32_t value = 0;
        for (std::size_t k = 1; k <= count; ++k) {
          const int digit = i + k < text.size() ? hex_digit(text[i + k]) : -1;
          if (digit < 0) error("truncated \\{} escape in a string", c);
          value = value << 4 | static_cast<char32_t>(digit);
        }
        if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
          error("the string has an escape that is no character");
        append_utf8(out, value);
        i += count;
      } else if (c == 'N') {
        error("\\N escapes are not supported in strings");
      } else {
        (out += '\\') += c;
      }
    }
    return out;
  }

  void lex_operator(std::string& open) {
    static constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,;";
    std::string_view text = std::string_view(source_).substr(at_, 1);
    for (std::string_view two : kDouble) {
      if (looking_at(two)) text = two;
    }
    if (text.size() == 1 && kSingle.find(text[0]) == kSingle.npos) {
      const std::size_t end = decode_utf8(source_, at_).next;
      error("unexpected char {}", quote(to_valid_utf8(std::string_view(source_).substr(at_, end - at_))));
    }
    if (text == "{") open += '}';
    if (text == "(") open += ')';
    if (text == "[") open += ']';
    if (text == "}" || text == ")" || text == "]") {
      if (open.empty()) error("unexpected '{}'", text);
      if (open.back() != text[0]) error("unexpected '{}', expected '{}'", text, open.back());
      open.pop_back();
    }
    add(TokenKind::kOperator, text);
    advance(at_ + text.size());
  }

  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag ended with a newline (or this is the beginning)
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace attune::jinja
