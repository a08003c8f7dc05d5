// How attention is cut into tasks: blocks of tokens, and within them the runs that belong to one sequence.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "ops/attention.h"
#include "ops/check.h"
#include "ops/parallel.h"

namespace attune {

inline constexpr std::int64_t kTile = 64;       // tokens per block of queries or keys
inline constexpr std::int64_t kGroupHeads = 4;  // query heads that share one visit of a key tile

// Sizes and masks of one call.
struct AttentionShape {
  std::int64_t tokens, query_heads, key_heads, head_size;
  std::int64_t window;  // sliding window, or a number no sequence reaches
  float scale;
  std::span<const std::int32_t> starts;

  std::int64_t group() const { return query_heads / key_heads; }
  std::int64_t group_chunks() const { return (group() + kGroupHeads - 1) / kGroupHeads; }
  std::int64_t blocks() const { return (tokens + kTile - 1) / kTile; }
};

// Tokens [begin, end) of one block that lie in the sequence [first, last).
struct Run {
  std::int64_t begin, end, first, last;

  // The first token that token t of this sequence sees.
  std::int64_t first_visible(std::int64_t t, std::int64_t window) const { return std::max(first, t - window + 1); }
};

// Calls body(run) for every run of the block.
template <typename Body>
void for_runs(const AttentionShape& shape, std::int64_t block, const Body& body) {
  const std::int64_t begin = block * kTile, end = std::min(shape.tokens, begin + kTile);
  auto start = std::upper_bound(shape.starts.begin(), shape.starts.end(), begin) - 1;
  for (; *start < end; ++start) {
    const std::int64_t first = start[0], last = start[1];
    if (first == last) continue;
    body(Run{std::max(begin, first), std::min(end, last), first, last});
  }
}

// Calls body(run, key_head, head_begin, head_end) in parallel for every run of every block and every group of
// at most kGroupHeads query heads that share a key head. Late blocks see more keys and come first.
template <typename Body>
void for_query_tasks(const AttentionShape& shape, const Body& body) {
  const std::int64_t chunks = shape.group_chunks(), columns = shape.key_heads * chunks;
  parallel_tasks(shape.blocks() * columns, [&](std::int64_t task) {
    const std::int64_t key_head = task % columns / chunks, chunk = task % chunks;
    const std::int64_t head_begin = key_head * shape.group() + chunk * kGroupHeads;
    const std::int64_t head_end = std::min(head_begin + kGroupHeads, (key_head + 1) * shape.group());
    for_runs(shape, shape.blocks() - 1 - task / columns,
             [&](const Run& run) { body(run, key_head, head_begin, head_end); });
  });
}

// Whether one task per sequence and key head keeps all threads busy: equal shares of one length, or many.
inline bool enough_sequences(const AttentionShape& shape) {
  const std::int64_t tasks = (static_cast<std::int64_t>(shape.starts.size()) - 1) * shape.key_heads;
  const std::int64_t threads = omp_get_max_threads();
  return tasks >= 4 * threads || (shape.starts.size() == 2 && tasks % threads == 0);
}

// The arguments of attention_backward without their types.
struct AttentionGradients {
  TensorView dq, dk, dv, dout, q, k, v, out;
  float *log_sum_exp, *delta;
};

// Checks the shapes common to forward and backward; views are [N, heads, D].
AttentionShape attention_shape(const char* where, TensorView q, TensorView k, TensorView v,
                               std::span<const std::int32_t> sequence_starts, const AttentionParams& params);

}  // namespace attune
