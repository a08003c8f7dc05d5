// What a language model wrote when it was asked for JSON: found among thoughts, apologies and code fences.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct Exchange {
  std::string question, answer;  // UTF-8, trimmed, neither empty

  bool operator==(const Exchange&) const = default;
};

// The exchanges of a list of {"question","answer"}, also inside an object; empty when there is none. Any text is
// accepted.
std::vector<Exchange> parse_exchanges(std::string_view text);

// The "score" of an object, 0 to 10; nothing when there is none.
std::optional<double> parse_score(std::string_view text);

}  // namespace attune
