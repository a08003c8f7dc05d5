// Which conversations share a row: greedy best-fit packing over a shuffled order. Sequences packed into one row do not
// see each other (block-diagonal attention, positions restart), so packing changes speed, never what is learnt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attune {

// A row: indices of the conversations in it, in order.
using PackedRow = std::vector<std::int32_t>;

struct PackingOptions {
  std::int64_t row_tokens = 2048;  // lengths are cut to this
  bool packing = true;             // false: one conversation per row
  std::uint64_t seed = 0;
};

// The rows of one epoch. A pure function of its arguments, so a resumed run sees the same rows: `lengths` in tokens,
// conversations with length 0 are left out.
std::vector<PackedRow> pack_epoch(std::span<const std::int64_t> lengths, std::int64_t epoch,
                                  const PackingOptions& options);

// Rows of at most `row_tokens` with the conversations in their own order: for measuring. A longer one has a row alone.
std::vector<PackedRow> pack_in_order(std::span<const std::int64_t> lengths, std::int64_t row_tokens);

}  // namespace attune
