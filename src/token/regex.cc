#include "token/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/freed.h"
#include "base/utf8.h"
#include "token/unicode.h"

namespace attune {
namespace {

constexpr std::size_t kMaxPattern = 64 << 10;
constexpr std::uint32_t kMaxBacktracking = 10'000'000;  // Oniguruma's retry limit

// Insides of character classes.
constexpr const char* kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{"
    "3000}";
constexpr const char* kHexDigit = "0-9A-Fa-f";

std::string word() {
  return "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" + newer_code_points("L") +
         newer_code_points("M") + newer_code_points("Nd");
}

bool is_general_category(std::string_view name) {
  if (name.empty() || name.size() > 2) return false;
  return std::string_view("CLMNPSZ").find(name[0]) != std::string_view::npos &&
         (name.size() == 1 || (name[1] >= 'a' && name[1] <= 'z') || name[1] == '&');
}

// One pass over the pattern; what needs no change is copied.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : in_(pattern), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\')
        escape(false);
      else if (c == '[')
        char_class();
      else if (c == '(' && in_.substr(at_).starts_with("(?"))
        group_options();
      else if (c == '{')
        interval();
      else
        out_ += c, ++at_;
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Unsupported("[{}] pattern \"{}\": {} is not supported", where_, in_, what);
  }

  void put_set(const std::string& inside, bool negated, bool in_class) {
    if (in_class && negated) refuse("a negated set inside a character class");
    out_ += in_class ? inside : (negated ? "[^" : "[") + inside + "]";
  }

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) refuse("a backslash at the end");
    const char c = in_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 's':
        return put_set(kSpace, false, in_class);
      case 'S':
        if (in_class)
          out_ += "\\P{White_Space}";
        else
          put_set(kSpace, true, false);
        return;
      case 'w':
      case 'W':
        return put_set(word(), c == 'W', in_class);
      case 'd':
      case 'D':
        return put_set("\\p{Nd}" + newer_code_points("Nd"), c == 'D', in_class);
      case 'h':
      case 'H':
        return put_set(kHexDigit, c == 'H', in_class);
      case 'b':
        if (in_class)
          out_ += "\\x{8}";
        else
          out_ += "(?:(?<=[" + word() + "])(?![" + word() + "])|(?<![" + word() + "])(?=[" + word() + "]))";
        return;
      case 'B':
        if (in_class) refuse("\\B inside a character class");
        out_ += "(?:(?<=[" + word() + "])(?=[" + word() + "])|(?<![" + word() + "])(?![" + word() + "]))";
        return;
      case 'u': {
        const std::string_view digits = in_.substr(at_, 4);
        if (digits.size() < 4) refuse("\\u without four hexadecimal digits");
        out_ += "\\x{" + std::string(digits) + "}";
        at_ += 4;
        return;
      }
      case 'p':
      case 'P':
        return property(c == 'P', in_class);
      case 'Q':
      case 'E':
      case 'G':
      case 'K':
      case 'X':
      case 'N':
      case 'O':
      case 'y':
      case 'Y':
        refuse(std::string("\\") + c);
      default:
        out_ += '\\';
        out_ += c;
    }
  }

  void property(bool negated, bool in_class) {
    const std::size_t close = in_.find('}', at_);
    if (at_ >= in_.size() || in_[at_] != '{' || close == std::string_view::npos) refuse("\\p without {name}");
    std::string name(in_.substr(at_ + 1, close - at_ - 1));
    at_ = close + 1;
    if (name.starts_with('^')) name.erase(0, 1), negated = !negated;
    // PCRE2 reads \p{Han} as "script extensions contain Han"; Oniguruma as the script itself.
    static constexpr std::array kNotScripts = {"Any", "Alphabetic", "White_Space", "Uppercase", "Lowercase", "Emoji"};
    const bool script = !is_general_category(name) && std::ranges::find(kNotScripts, name) == kNotScripts.end();
    const std::string known = std::string("p{") + (script ? "sc:" : "") + name + "}", newer = newer_code_points(name);
    if (newer.empty()) {
      out_ += (negated ? "\\P" : "\\p") + known.substr(1);
    } else if (in_class && negated) {
      out_ += "\\P" + known.substr(1);  // the newer code points stay on this side of it
    } else {
      put_set("\\" + known + newer, negated, in_class);
    }
  }

  void posix_class() {
    const std::size_t close = in_.find(":]", at_);
    if (close == std::string_view::npos) refuse("[: without :]");
    const std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
    if (name == "space")
      out_ += kSpace;
    else if (name == "punct")
      out_ += "\\p{P}\\p{S}" + newer_code_points("P") + newer_code_points("S");
    else if (name == "digit")
      out_ += "\\p{Nd}" + newer_code_points("Nd");
    else if (name == "word")
      out_ += word();
    else if (name == "xdigit")
      out_ += kHexDigit;
    else
      refuse("[:" + std::string(name) + ":]");
    at_ = close + 2;
  }

  void char_class() {
    out_ += '[', ++at_;
    if (at_ < in_.size() && in_[at_] == '^') out_ += '^', ++at_;
    if (at_ < in_.size() && in_[at_] == ']') out_ += "\\]", ++at_;
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '\\')
        escape(true);
      else if (in_.substr(at_).starts_with("[:"))
        posix_class();
      else if (in_[at_] == '[')
        refuse("a character class inside another");
      else if (in_.substr(at_).starts_with("&&"))
        refuse("&& in a character class");
      else
        out_ += in_[at_++];
    }
    if (at_ >= in_.size()) refuse("[ without ]");
    out_ += ']', ++at_;
  }

  // (?imx-imx) and (?imx-imx: ; Ruby's m is what others call s.
  void group_options() {
    std::size_t end = at_ + 2;
    while (end < in_.size() && std::string_view("imx-").find(in_[end]) != std::string_view::npos) ++end;
    const bool options = end > at_ + 2 && end < in_.size() && (in_[end] == ':' || in_[end] == ')');
    std::string text(in_.substr(at_, options ? end - at_ : 2));
    if (options) std::ranges::replace(text, 'm', 's');
    out_ += text;
    at_ += text.size();
  }

  void interval() {
    const std::size_t close = in_.find('}', at_);
    const std::string_view inside = close == std::string_view::npos ? "" : in_.substr(at_ + 1, close - at_ - 1);
    const bool is_interval = !inside.empty() && inside != "," &&
                             std::ranges::all_of(inside, [](char c) { return (c >= '0' && c <= '9') || c == ','; });
    if (!is_interval) {
      out_ += "\\{", ++at_;
      return;
    }
    if (close + 1 < in_.size() && in_[close + 1] == '+') refuse("+ after an interval");
    out_ += (inside[0] == ',' ? "{0" : "{") + std::string(inside) + "}";
    at_ = close + 1;
  }

  std::string_view in_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

struct Regex::Compiled {
  std::unique_ptr<pcre2_code, FreedBy<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_context, FreedBy<pcre2_match_context_free>> limits;
  std::string pattern, where;
};

std::string to_pcre2(std::string_view pattern, const std::string& where) { return Translator(pattern, where).run(); }

Regex::Regex(std::string_view pattern, const std::string& where) {
  if (pattern.size() > kMaxPattern) {
    throw Unsupported("[{}] expected a pattern of at most {} bytes, got {}", where, kMaxPattern, pattern.size());
  }
  const std::string translated = to_pcre2(pattern, where);
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = pattern;
  compiled->where = where;
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                                     nullptr));
  if (!compiled->code) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    throw Unsupported("[{}] pattern \"{}\" is not supported: {}", where, pattern,
                      reinterpret_cast<const char*>(message.data()));
  }
  pcre2_jit_compile(compiled->code.get(),
                    PCRE2_JIT_COMPLETE);  // without a JIT the interpreter answers the same
  compiled->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled->limits.get(), kMaxBacktracking);
  pcre2_set_heap_limit(compiled->limits.get(), 256 << 10);  // KiB
  compiled_ = std::move(compiled);
}

std::vector<Match> Regex::find(std::string_view text) const {
  if (text.empty()) return {{0, 0, false}};
  const std::unique_ptr<pcre2_match_data, FreedBy<pcre2_match_data_free>> data(pcre2_match_data_create(1, nullptr));
  std::vector<Match> slices;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::size_t covered = 0, from = 0;
  bool any = false;
  while (from <= text.size()) {
    int found = pcre2_match(compiled_->code.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, data.get(),
                            compiled_->limits.get());
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(compiled_->code.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          data.get(), compiled_->limits.get());
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Unsupported("[{}] pattern \"{}\" backtracks too much on this text", compiled_->where, compiled_->pattern);
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = ends[0], end = ends[1];
    if (begin > end || (begin == end && any && end == covered)) {
      // An empty match right after the last one is no match: go on one character further.
      from = from < text.size() ? decode_utf8(text, from).next : from + 1;
      continue;
    }
    if (covered != begin) slices.push_back({covered, begin, false});
    slices.push_back({begin, end, true});
    covered = from = end;
    any = true;
  }
  if (covered != text.size()) slices.push_back({covered, text.size(), false});
  return slices;
}

std::vector<Match> find_string(std::string_view text, std::string_view needle) {
  if (text.empty()) return {{0, 0, false}};
  std::vector<Match> slices;
  std::size_t covered = 0;
  for (std::size_t at; (at = text.find(needle, covered)) != std::string_view::npos;) {
    if (covered != at) slices.push_back({covered, at, false});
    slices.push_back({at, at + needle.size(), true});
    covered = at + needle.size();
  }
  if (covered != text.size()) slices.push_back({covered, text.size(), false});
  return slices;
}

}  // namespace attune
