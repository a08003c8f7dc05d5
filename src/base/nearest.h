// The known name nearest to a misspelt one, for "did you mean".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace attune {

// The candidate with the smallest edit distance to `name`, when that distance is at most max(2, a third of the name's length);
// else the first that begins with `name`, when that has three letters or more.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> candidates);

// "; did you mean X?" or "".
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace attune
