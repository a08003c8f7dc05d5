// How long the rows of a data set are, in tokens, and which max_length they suggest.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"

namespace attune {

struct LengthSummary {
  struct Bin {
    std::int64_t first = 0, last = 0;  // lengths in it, both included
    std::uint64_t rows = 0;
  };
  std::uint64_t rows = 0;
  std::int64_t tokens = 0;  // of all rows
  double mean = 0;
  std::int64_t shortest = 0, median = 0, longest = 0, p90 = 0, p95 = 0, p99 = 0;  // nearest rank
  std::vector<Bin>
      histogram;  // equal widths, up to 20; the last one goes on to the longest when few rows are that long
};

LengthSummary summarize_lengths(std::vector<std::int64_t> lengths);

// A multiple of 32 that holds every row; where a few rows are more than twice as long as 99 of 100, those 99.
std::int64_t suggested_max_length(const LengthSummary& summary);

Json to_json(const LengthSummary& summary);

}  // namespace attune
