// A text made valid UTF-8, with byte ranges of the original carried over.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "token/tokenizer.h"

namespace attune {

// Not copyable: the views may point into the object.
struct ValidText {
  // Replaces invalid sequences of `raw` by U+FFFD and moves `ranges` (of `raw`) along.
  ValidText(std::string_view raw, std::span<const ByteRange> ranges);
  ValidText(const ValidText&) = delete;
  ValidText& operator=(const ValidText&) = delete;

  std::string_view text;
  std::span<const ByteRange> plain;

 private:
  std::string repaired_;
  std::vector<ByteRange> moved_;
};

// What of `ranges` (ascending, disjoint) lies within `part`, relative to part.begin.
std::vector<ByteRange> ranges_within(std::span<const ByteRange> ranges, ByteRange part);

}  // namespace attune
