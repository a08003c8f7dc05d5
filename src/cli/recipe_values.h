// A recipe as keys and values, for what shows or compares recipes: "train.learning_rate" -> "0.0002".
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace attune {

// Every scalar of the YAML text under its dotted name, lists as "[a, b]", in order. Throws BadFile.
std::vector<std::pair<std::string, std::string>> recipe_values(const std::string& yaml, const std::string& where);

}  // namespace attune
