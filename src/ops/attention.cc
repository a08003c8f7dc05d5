// Attention forward: online softmax over tiles of keys, one task per block of queries and group of heads.
#include "ops/attention.h"

#include <cmath>
#include <limits>

#include "ops/attention_bf16.h"
#include "ops/attention_blocks.h"
#include "ops/op_time.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// The tiles of one task in the thread's scratch; `width` is D rounded up to whole vectors.
struct ForwardTiles {
  float *queries, *outputs;  // [kGroupHeads, kTile, width]
  float* keys_transposed;    // [D, kTile]
  float* rows;               // [kTile, width]: keys before they are turned, then values
  float* scores;             // [kPanel, kTile]
  float *maxima, *sums;      // [kGroupHeads, kTile]
};

ForwardTiles forward_tiles(std::int64_t width) {
  const std::int64_t heads = kGroupHeads * kTile * width, tile = kTile * width;
  float* memory =
      thread_scratch(static_cast<std::size_t>(2 * heads + 2 * tile + kPanel * kTile + 2 * kGroupHeads * kTile));
  ForwardTiles t;
  t.queries = memory;
  t.outputs = t.queries + heads;
  t.keys_transposed = t.outputs + heads;
  t.rows = t.keys_transposed + tile;
  t.scores = t.rows + tile;
  t.maxima = t.scores + kPanel * kTile;
  t.sums = t.maxima + kGroupHeads * kTile;
  return t;
}

// Turns scores[0, columns) into exp(score - running maximum) and brings the row's sum and output up to date.
HWY_INLINE void soften_row(float* scores, std::int64_t columns, float& maximum, float& sum, float* output,
                           std::int64_t width) {
  const F32 d;
  auto largest = hn::Load(d, scores);
  for (std::int64_t i = lanes(); i < columns; i += lanes()) largest = hn::Max(largest, hn::Load(d, scores + i));
  const float tile_maximum = hn::GetLane(hn::MaxOfLanes(d, largest));
  if (tile_maximum == kMinusInfinity) {  // nothing of this tile is visible to this row
    for (std::int64_t i = 0; i < columns; ++i) scores[i] = 0.0f;
    return;
  }
  if (tile_maximum > maximum) {
    const float shrink = std::exp(maximum - tile_maximum);
    maximum = tile_maximum;
    sum *= shrink;
    for (std::int64_t i = 0; i < width; i += lanes()) {
      hn::Store(hn::Mul(hn::Load(d, output + i), hn::Set(d, shrink)), d, output + i);
    }
  }
  auto total = hn::Zero(d);
  for (std::int64_t i = 0; i < columns; i += lanes()) {
    const auto e = exponential(d, hn::Sub(hn::Load(d, scores + i), hn::Set(d, maximum)));
    hn::Store(e, d, scores + i);
    total = hn::Add(total, e);
  }
  sum += hn::GetLane(hn::SumOfLanes(d, total));
}

template <typename T>
void forward_run(T* out, float* log_sum_exp, const T* q, const T* k, const T* v, const AttentionShape& shape,
                 const Run& run, std::int64_t key_head, std::int64_t head_begin, std::int64_t head_end) {
  const std::int64_t size = shape.head_size, width = round_up_to_lanes(size);
  const std::int64_t query_row = shape.query_heads * size, key_row = shape.key_heads * size;
  const std::int64_t heads = head_end - head_begin, queries = run.end - run.begin;
  const ForwardTiles t = forward_tiles(width);
  for (std::int64_t h = 0; h < heads; ++h) {
    copy_rows(t.queries + h * kTile * width, width, q + run.begin * query_row + (head_begin + h) * size, query_row,
              queries, size, shape.scale);
    for (std::int64_t i = 0; i < queries * width; ++i) t.outputs[h * kTile * width + i] = 0.0f;
    for (std::int64_t i = 0; i < queries; ++i) {
      t.maxima[h * kTile + i] = kMinusInfinity;
      t.sums[h * kTile + i] = 0.0f;
    }
  }
  for (std::int64_t tile = run.first_visible(run.begin, shape.window); tile < run.end; tile += kTile) {
    const std::int64_t keys = std::min(kTile, run.end - tile);
    const std::int64_t tile_offset = tile * key_row + key_head * size;
    copy_rows(t.rows, width, k + tile_offset, key_row, keys, size, 1.0f);
    copy_transposed(t.keys_transposed, kTile, t.rows, width, keys, size, 1.0f);
    copy_rows(t.rows, width, v + tile_offset, key_row, keys, size, 1.0f);
    if (const std::int64_t next = std::min(kTile, run.end - tile - kTile); next > 0) {
      fetch_rows(k + tile_offset + kTile * key_row, key_row, next, size);
      fetch_rows(v + tile_offset + kTile * key_row, key_row, next, size);
    }
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t r = 0; r < queries; r += kPanel) {
        const std::int64_t rows = std::min(kPanel, queries - r);
        // Columns of the tile that some row of the panel sees: [low, high), computed in whole vectors.
        const std::int64_t token = run.begin + r;
        const std::int64_t first = run.first_visible(token, shape.window) - tile;
        const std::int64_t low = round_down_to_lanes(std::max<std::int64_t>(0, first));
        const std::int64_t high = std::min(keys, token + rows - tile);
        if (low >= high) continue;
        const std::int64_t columns = round_up_to_lanes(high) - low;
        float* scores = t.scores + low;
        const std::int64_t row_offset = (h * kTile + r) * width;
        multiply_panel(scores, kTile, {t.queries + row_offset, width, 1}, t.keys_transposed + low, kTile, rows, columns,
                       size, false);
        for (std::int64_t row = 0; row < rows; ++row) {
          const std::int64_t begin = run.first_visible(token + row, shape.window) - tile;
          const std::int64_t end = std::min(keys, token + row + 1 - tile);
          float* line = t.scores + row * kTile;
          for (std::int64_t c = low; c < std::min(begin, low + columns); ++c) line[c] = kMinusInfinity;
          for (std::int64_t c = std::max(end, low); c < low + columns; ++c) line[c] = kMinusInfinity;
          soften_row(line + low, columns, t.maxima[h * kTile + r + row], t.sums[h * kTile + r + row],
                     t.outputs + row_offset + row * width, width);
        }
        multiply_panel(t.outputs + row_offset, width, {scores, kTile, 1}, t.rows + low * width, width, rows, width,
                       high - low, true);
      }
    }
  }
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t r = 0; r < queries; ++r) {
      const float sum = t.sums[h * kTile + r];
      log_sum_exp[(head_begin + h) * shape.tokens + run.begin + r] = t.maxima[h * kTile + r] + std::log(sum);
      write_rows(out + (run.begin + r) * query_row + (head_begin + h) * size, query_row,
                 t.outputs + (h * kTile + r) * width, width, 1, size, 1.0f / sum);
    }
  }
}

void attention_forward_run(const TensorView& out, float* log_sum_exp, const TensorView& q, const TensorView& k,
                           const TensorView& v, const AttentionShape& shape, const Run& run, std::int64_t key_head,
                           std::int64_t head_begin, std::int64_t head_end) {
  if (q.dtype == DType::kF32) {
    forward_run(out.as<float>(), log_sum_exp, q.as<float>(), k.as<float>(), v.as<float>(), shape, run, key_head,
                head_begin, head_end);
  } else {
    forward_run(out.as<bf16>(), log_sum_exp, q.as<bf16>(), k.as<bf16>(), v.as<bf16>(), shape, run, key_head, head_begin,
                head_end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(attention_forward_run);

AttentionShape attention_shape(const char* where, TensorView q, TensorView k, TensorView v,
                               std::span<const std::int32_t> sequence_starts, const AttentionParams& params) {
  require_activations(where, {q, k, v});
  require(q.shape.rank == 3 && k.shape.rank == 3 && k.shape == v.shape, where, "q [N, H, D]; k, v [N, K, D]");
  require(q.shape[0] == k.shape[0] && q.shape[2] == k.shape[2], where, "q [N, H, D]; k, v [N, K, D]");
  AttentionShape shape;
  shape.tokens = q.shape[0];
  shape.query_heads = q.shape[1];
  shape.key_heads = k.shape[1];
  shape.head_size = q.shape[2];
  require(shape.key_heads > 0 && shape.query_heads % shape.key_heads == 0, where, "H a multiple of K");
  require(!sequence_starts.empty() && sequence_starts.front() == 0 && sequence_starts.back() == shape.tokens, where,
          "sequence starts from 0 to N");
  require(std::is_sorted(sequence_starts.begin(), sequence_starts.end()), where, "sequence starts in order");
  constexpr std::int64_t kNone = std::numeric_limits<std::int32_t>::max();
  shape.window = params.sliding_window > 0 ? std::min(params.sliding_window, kNone) : kNone;
  shape.scale = params.scale;
  shape.starts = sequence_starts;
  return shape;
}

void attention_forward(TensorView out, TensorView log_sum_exp, TensorView q, TensorView k, TensorView v,
                       std::span<const std::int32_t> sequence_starts, const AttentionParams& params) {
  const OpTimer timer(OpFamily::kAttention);
  const char* where = "attention_forward";
  const AttentionShape shape = attention_shape(where, q, k, v, sequence_starts, params);
  require_activations(where, {out, q});
  require_equal_size(where, {out, q});
  require_f32(where, {log_sum_exp});
  require(log_sum_exp.elements() == shape.query_heads * shape.tokens, where, "log_sum_exp [H, N]");
  if (multiplies_bf16_tiles(q.dtype) && shape.scale > 0) {
    return attention_forward_bf16(out, log_sum_exp.as<float>(), q, k, v, shape);
  }
  for_query_tasks(shape, [&](const Run& run, std::int64_t key_head, std::int64_t head_begin, std::int64_t head_end) {
    HWY_DYNAMIC_DISPATCH(attention_forward_run)
    (out, log_sum_exp.as<float>(), q, k, v, shape, run, key_head, head_begin, head_end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
