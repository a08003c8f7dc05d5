#include "batch/packing.h"

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace attune {
namespace {

// Rows still open for more; beyond this many the fullest one is closed. Keeps the order of training close to the
// shuffled order, where sorting by length would not.
constexpr std::size_t kOpenRows = 32;

struct OpenRow {
  PackedRow row;
  std::int64_t free;
};

}  // namespace

std::vector<PackedRow> pack_epoch(std::span<const std::int64_t> lengths, std::int64_t epoch,
                                  const PackingOptions& options) {
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] > 0) order.push_back(static_cast<std::int32_t>(i));
  }
  Rng rng{options.seed, 0x5EED0000u + static_cast<std::uint64_t>(epoch), 0};
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);

  std::vector<PackedRow> rows;
  if (!options.packing) {
    for (const std::int32_t index : order) rows.push_back({index});
    return rows;
  }
  std::vector<OpenRow> open;
  for (const std::int32_t index : order) {
    const std::int64_t length = std::min(lengths[static_cast<std::size_t>(index)], options.row_tokens);
    auto best = open.end();
    for (auto row = open.begin(); row != open.end(); ++row) {
      if (row->free >= length && (best == open.end() || row->free < best->free)) best = row;
    }
    if (best != open.end()) {
      best->row.push_back(index);
      best->free -= length;
      continue;
    }
    if (open.size() == kOpenRows) {
      const auto fullest = std::min_element(open.begin(), open.end(),
                                            [](const OpenRow& a, const OpenRow& b) { return a.free < b.free; });
      rows.push_back(std::move(fullest->row));
      open.erase(fullest);
    }
    open.push_back({{index}, options.row_tokens - length});
  }
  for (OpenRow& row : open) rows.push_back(std::move(row.row));
  return rows;
}

std::vector<PackedRow> pack_in_order(std::span<const std::int64_t> lengths, std::int64_t row_tokens) {
  std::vector<PackedRow> rows;
  std::int64_t used = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (rows.empty() || used + lengths[i] > row_tokens) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(static_cast<std::int32_t>(i));
    used += lengths[i];
  }
  return rows;
}

}  // namespace attune
