// The "pattern" of tokenizer.json's Split and Replace: {"String": ...} or {"Regex": ...}.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "token/regex.h"

namespace attune {

struct Pattern {
  std::variant<std::string, Regex> what;  // an empty string matches nothing

  // Slices that cover `text` (valid UTF-8): matches and what lies between.
  std::vector<Match> find(std::string_view text) const;
  std::string replace(std::string_view text, std::string_view content) const;
};

// Reads value["pattern"]. Throws BadFile and Unsupported.
Pattern read_pattern(const Json& value, const std::string& where);

}  // namespace attune
