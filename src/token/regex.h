// The regular expressions of tokenizer.json: written in Oniguruma's dialect, run by PCRE2 (UTF, UCP, JIT).
// What the two read differently (\s, \w, \d, \h, script properties, newer code points, (?m), intervals) is
// rewritten; what cannot be is refused at load.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

// A slice of a text and whether the pattern matched it.
struct Match {
  std::size_t begin, end;
  bool matched;
};

// Immutable after construction and cheap to copy; find() is thread-safe.
class Regex {
 public:
  // `pattern` is UTF-8; `where` begins the error message. Throws Unsupported.
  Regex(std::string_view pattern, const std::string& where);

  // Slices that cover `text` (valid UTF-8) in order: every match and what lies between. Throws Unsupported
  // when the pattern needs more backtracking than allowed.
  std::vector<Match> find(std::string_view text) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

// The pattern as PCRE2 reads it. Exposed for the tests.
std::string to_pcre2(std::string_view pattern, const std::string& where);

// Slices that cover `text`: every occurrence of `needle` (never empty), left to right, and what lies between.
std::vector<Match> find_string(std::string_view text, std::string_view needle);

}  // namespace attune
