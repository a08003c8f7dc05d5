// A regular expression from outside, matched with bounds on time and memory (PCRE2; the syntax of Python's
// re).
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace attune {

class Pattern {
 public:
  // Throws UserError naming `where` when the expression is not valid.
  Pattern(const std::string& expression, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  // Whether the expression matches all of `text`. Throws UserError when that takes more steps than any
  // sensible one.
  bool matches(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace attune
