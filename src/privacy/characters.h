// What the detectors ask of single characters: digits, the neighbours of a find, and the separators that people and
// programs put between groups of digits.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"

namespace attune {

// A letter or digit of any script, or '_', stands right before (at) `position`: a find that touches one is part of a
// longer word.
bool word_before(std::string_view text, std::size_t position);
bool word_at(std::string_view text, std::size_t position);

// A text with fewer digits than any number of a kind has holds none: most messages are done at that.
std::size_t count_digits(std::string_view text);

// Bytes of the separator at `position` when it is one of those in a number: space, no-break space, hyphens and dashes,
// and (given by `more`) other ASCII characters; invisible direction marks too. 0: none.
std::size_t separator_at(std::string_view text, std::size_t position, std::string_view more);

// Digits in groups, as "+36 30 123-4567" from its first digit on.
struct DigitGroups {
  std::string digits;
  std::vector<std::size_t> sizes;       // of the groups
  std::vector<std::size_t> ends;        // byte after each group
  std::vector<std::string> separators;  // after each group but the last
};
// From the digit at `begin`; at most `most` digits (a group that would exceed it ends the reading before it) and two
// separators in a row.
DigitGroups read_groups(std::string_view text, std::size_t begin, std::size_t most, std::string_view more_separators);

}  // namespace attune
