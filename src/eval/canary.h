// Canaries: secrets planted in training data to see whether the model gives them away (Carlini et al., "The Secret
// Sharer", 2019). A canary is a line of text such as "the code of the vault is [[7391-XK]]"; what stands between [[ and
// ]] is its secret, without them its digits, without digits its last word. The model has learnt the secret when it
// finds the line more likely than the same line with other secrets of the same form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace attune {

struct Canary {
  std::string where;                // "file:line"
  std::string text;                 // without the brackets
  std::vector<std::size_t> secret;  // places of its secret letters and digits in `text`, ascending; never empty
};

// Throws BadFile "[name:line] ..." for a line without a letter or digit to vary, or a file without lines.
std::vector<Canary> parse_canaries(std::string_view text, const std::string& name);
std::vector<Canary> read_canaries(const fs::path& file);

// At most `count` different lines that have other digits and letters (of the same case) in place of the secret, none of
// them the canary; fewer when the secret is too short for so many. The same seed gives the same lines.
std::vector<std::string> other_secrets(const Canary& canary, std::size_t count, std::uint64_t seed);

// Bits by which knowing the model shortens the search for the secret: log2(candidates / rank), where rank 1 is the most
// likely of all `candidates`, the canary included. About 1.4 on average for a secret that the model never saw.
double exposure(std::int64_t rank, std::int64_t candidates);

}  // namespace attune
