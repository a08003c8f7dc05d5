// Does an answer say only what its source says? Checked without a model, so that it costs nothing and cannot be talked
// round: every number and every name of the answer must be in the source, and of its other long words a share. Words
// match across endings ("Budapesten" - "Budapest"), numbers across ways of writing them ("1,200" - "1200" - "1 200").
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace attune {

class Source {
 public:
  explicit Source(std::string_view text);

  // The first fact of `answer` that is not in the source, as written there in lower case; or nothing. `least_shared` is
  // the share of the answer's words of 5 letters and more that the source must have; when it has fewer, the first that
  // it does not have is given.
  std::optional<std::string> missing(std::string_view answer, double least_shared = 0.5) const;

 private:
  bool has_number(const std::string& number) const;
  bool has_word(const std::string& word) const;

  std::set<std::string> numbers_, words_;
  bool capitals_are_names_ = true;  // not in German, which capitalises every noun
};

}  // namespace attune
