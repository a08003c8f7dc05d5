// Attention backward from probabilities that are recomputed from the log-sum-exp. One pass of five products, a task for
// every sequence and key head, sums dk, dv and dq together; dq is summed over key blocks and so must be f32. Where dq is
// narrower, or there are too few such tasks for the threads, two passes of seven products do: one task per block of keys
// sums dk and dv, one per block of queries sums dq. Both add the same terms in the same order: their bits are equal.
#include <limits>
#include <type_traits>

#include "ops/attention_bf16.h"
#include "ops/attention_blocks.h"
#include "ops/op_time.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_ATTENTION_GRADIENTS
#define ATTUNE_OPS_ATTENTION_GRADIENTS
// Floats of BackwardTiles; those of the forward pass are fewer.
inline std::int64_t backward_floats(std::int64_t width) {
  return (4 * kGroupHeads + 3) * kTile * width + 2 * kTile * kTile;
}
#endif

namespace HWY_NAMESPACE {
namespace {

// The tiles of one task in the thread's scratch; `width` is D rounded up to whole vectors.
struct BackwardTiles {
  float *queries, *douts;                      // [kGroupHeads, kTile, width]
  float *first_sum, *second_sum;               // dq [kGroupHeads, kTile, width], or dk and dv [kTile, width]
  float* keys;                                 // [kTile, width]
  float *keys_transposed, *values_transposed;  // [D, kTile]
  float *probabilities, *dscores;              // [kTile, kTile], rows are queries
};

BackwardTiles backward_tiles(std::int64_t width) {
  const std::int64_t tile = kTile * width, heads = kGroupHeads * tile;
  float* memory = thread_scratch(static_cast<std::size_t>(backward_floats(width)));
  BackwardTiles t;
  t.queries = memory;
  t.douts = t.queries + heads;
  t.first_sum = t.douts + heads;
  t.second_sum = t.first_sum + heads;
  t.keys = t.second_sum + heads;
  t.keys_transposed = t.keys + tile;
  t.values_transposed = t.keys_transposed + tile;
  t.probabilities = t.values_transposed + tile;
  t.dscores = t.probabilities + kTile * kTile;
  return t;
}

HWY_INLINE void set_zero(float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = 0.0f;
}

// Keys and values of tokens [begin, begin + count) as t.keys, t.keys_transposed (times the scale) and
// t.values_transposed.
template <typename T>
void load_key_tile(const BackwardTiles& t, const T* k, const T* v, const AttentionShape& shape, std::int64_t key_head,
                   std::int64_t begin, std::int64_t count, std::int64_t width) {
  const std::int64_t size = shape.head_size, key_row = shape.key_heads * size;
  const std::int64_t offset = begin * key_row + key_head * size;
  copy_rows(t.keys, width, v + offset, key_row, count, size, 1.0f);
  copy_transposed(t.values_transposed, kTile, t.keys, width, count, size, 1.0f);
  copy_rows(t.keys, width, k + offset, key_row, count, size, 1.0f);
  copy_transposed(t.keys_transposed, kTile, t.keys, width, count, size, shape.scale);
}

// A panel of at most kPanel queries, the first being `token`, against the tile of `keys` keys from `tile` on:
// their probabilities and score gradients in rows [row, row + rows) of the tiles, 0 where a query does not
// see a key. Returns the columns [low, high) that some row sees; low is a multiple of the vector.
struct Columns {
  std::int64_t low, high;
};
HWY_INLINE Columns gradient_panel(const BackwardTiles& t, const AttentionShape& shape, const Run& run,
                                  const float* queries, const float* douts, const float* log_sum_exp,
                                  const float* delta, std::int64_t token, std::int64_t row, std::int64_t rows,
                                  std::int64_t tile, std::int64_t keys, std::int64_t width) {
  const F32 d;
  const std::int64_t first = run.first_visible(token, shape.window) - tile;
  const std::int64_t low = round_down_to_lanes(std::max<std::int64_t>(0, first));
  const std::int64_t high = std::min(keys, token + rows - tile);
  float* probabilities = t.probabilities + row * kTile;
  float* dscores = t.dscores + row * kTile;
  if (low >= high) {
    set_zero(probabilities, rows * kTile);
    set_zero(dscores, rows * kTile);
    return {0, 0};
  }
  const std::int64_t end = round_up_to_lanes(high);
  multiply_panel(probabilities + low, kTile, {queries, width, 1}, t.keys_transposed + low, kTile, rows, end - low,
                 shape.head_size, false);
  multiply_panel(dscores + low, kTile, {douts, width, 1}, t.values_transposed + low, kTile, rows, end - low,
                 shape.head_size, false);
  for (std::int64_t r = 0; r < rows; ++r) {
    float* p = probabilities + r * kTile;
    float* ds = dscores + r * kTile;
    const auto shift = hn::Set(d, log_sum_exp[token + r]), row_delta = hn::Set(d, delta[token + r]);
    for (std::int64_t c = low; c < end; c += lanes()) {
      const auto e = exponential(d, hn::Sub(hn::Load(d, p + c), shift));
      hn::Store(e, d, p + c);
      hn::Store(hn::Mul(e, hn::Sub(hn::Load(d, ds + c), row_delta)), d, ds + c);
    }
    const std::int64_t begin = std::clamp<std::int64_t>(run.first_visible(token + r, shape.window) - tile, 0, kTile);
    const std::int64_t seen = std::clamp<std::int64_t>(token + r + 1 - tile, begin, std::max(begin, keys));
    set_zero(p, begin);
    set_zero(ds, begin);
    set_zero(p + seen, kTile - seen);
    set_zero(ds + seen, kTile - seen);
  }
  return {low, high};
}

// dq of a tile of queries, which is f32, receives what the tile of keys in t.keys adds to it.
HWY_INLINE void add_query_gradients(const BackwardTiles& t, float* dq, std::int64_t query_row, std::int64_t queries,
                                    std::int64_t keys, std::int64_t size, std::int64_t width) {
  float* const sums = t.first_sum + kTile * width;  // behind dk
  copy_rows(sums, width, dq, query_row, queries, size, 1.0f);
  for (std::int64_t r = 0; r < queries; r += kPanel) {
    multiply_panel(sums + r * width, width, {t.dscores + r * kTile, kTile, 1}, t.keys, width,
                   std::min(kPanel, queries - r), width, keys, true);
  }
  write_rows(dq, query_row, sums, width, queries, size, 1.0f);
}

// dk and dv of the keys of one run; with `with_queries` also what these keys add to dq, which is then complete (and
// scaled) for the queries of the run itself. Runs of a sequence then come in order.
template <typename T>
void keys_run(const AttentionGradients& g, const AttentionShape& shape, const Run& run, std::int64_t key_head,
              bool with_queries) {
  const std::int64_t size = shape.head_size, width = round_up_to_lanes(size), keys = run.end - run.begin;
  const std::int64_t query_row = shape.query_heads * size, key_row = shape.key_heads * size;
  const BackwardTiles t = backward_tiles(width);
  load_key_tile(t, g.k.as<T>(), g.v.as<T>(), shape, key_head, run.begin, keys, width);
  float *dk = t.first_sum, *dv = t.second_sum;
  set_zero(dk, keys * width);
  set_zero(dv, keys * width);
  const std::int64_t last = std::min(run.last, run.end - 1 + shape.window);  // queries beyond see none of the keys
  for (std::int64_t tile = run.begin; tile < last; tile += kTile) {
    const std::int64_t queries = std::min(kTile, last - tile);
    for (std::int64_t head = key_head * shape.group(); head < (key_head + 1) * shape.group(); ++head) {
      const std::int64_t offset = tile * query_row + head * size;
      copy_rows(t.queries, width, g.q.as<T>() + offset, query_row, queries, size, 1.0f);
      copy_rows(t.douts, width, g.dout.as<T>() + offset, query_row, queries, size, 1.0f);
      const bool last_head = head + 1 == (key_head + 1) * shape.group();
      const std::int64_t next = last_head ? offset + kTile * query_row - (shape.group() - 1) * size : offset + size;
      const std::int64_t next_queries = last_head ? std::min(kTile, last - tile - kTile) : queries;
      const float* log_sum_exp = g.log_sum_exp + head * shape.tokens;
      const float* delta = g.delta + head * shape.tokens;
      for (std::int64_t r = 0; r < queries; r += kPanel) {
        const std::int64_t rows = std::min(kPanel, next_queries - r), row = next + r * query_row;
        fetch_rows(g.q.as<T>() + row, query_row, rows, size);
        fetch_rows(g.dout.as<T>() + row, query_row, rows, size);
        if (with_queries) fetch_rows(g.dq.as<T>() + row, query_row, rows, size);
        gradient_panel(t, shape, run, t.queries + r * width, t.douts + r * width, log_sum_exp, delta, tile + r, r,
                       std::min(kPanel, queries - r), run.begin, keys, width);
      }
      for (std::int64_t c = 0; c < keys; c += kPanel) {
        const std::int64_t rows = std::min(kPanel, keys - c), token = run.begin + c;
        // Queries of the tile that see some key of the panel.
        const std::int64_t low = std::max<std::int64_t>(0, token - tile);
        const std::int64_t high = std::min(queries, token + rows - 1 + shape.window - tile);
        if (low >= high) continue;
        const std::int64_t corner = low * kTile + c;
        multiply_panel(dv + c * width, width, {t.probabilities + corner, 1, kTile}, t.douts + low * width, width, rows,
                       width, high - low, true);
        multiply_panel(dk + c * width, width, {t.dscores + corner, 1, kTile}, t.queries + low * width, width, rows,
                       width, high - low, true);
      }
      if constexpr (std::is_same_v<T, float>) {
        if (with_queries) add_query_gradients(t, g.dq.as<float>() + offset, query_row, queries, keys, size, width);
      }
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    const std::int64_t head = key_head * shape.group();
    for (std::int64_t token = run.begin; with_queries && token < run.end; ++token) {
      float* const dq = g.dq.as<float>() + token * query_row + head * size;
      for (std::int64_t i = 0; i < shape.group() * size; ++i) dq[i] *= shape.scale;
    }
  }
  const std::int64_t offset = run.begin * key_row + key_head * size;
  write_rows(g.dk.as<T>() + offset, key_row, dk, width, keys, size, shape.scale);
  write_rows(g.dv.as<T>() + offset, key_row, dv, width, keys, size, 1.0f);
}

// dq of the queries of one run in the heads [head_begin, head_end).
template <typename T>
void queries_run(const AttentionGradients& g, const AttentionShape& shape, const Run& run, std::int64_t key_head,
                 std::int64_t head_begin, std::int64_t head_end) {
  const std::int64_t size = shape.head_size, width = round_up_to_lanes(size), queries = run.end - run.begin;
  const std::int64_t query_row = shape.query_heads * size, heads = head_end - head_begin;
  const BackwardTiles t = backward_tiles(width);
  float* dq = t.first_sum;
  for (std::int64_t h = 0; h < heads; ++h) {
    const std::int64_t offset = run.begin * query_row + (head_begin + h) * size;
    copy_rows(t.queries + h * kTile * width, width, g.q.as<T>() + offset, query_row, queries, size, 1.0f);
    copy_rows(t.douts + h * kTile * width, width, g.dout.as<T>() + offset, query_row, queries, size, 1.0f);
    set_zero(dq + h * kTile * width, queries * width);
  }
  for (std::int64_t tile = run.first_visible(run.begin, shape.window); tile < run.end; tile += kTile) {
    const std::int64_t keys = std::min(kTile, run.end - tile);
    load_key_tile(t, g.k.as<T>(), g.v.as<T>(), shape, key_head, tile, keys, width);
    for (std::int64_t h = 0; h < heads; ++h) {
      const float* log_sum_exp = g.log_sum_exp + (head_begin + h) * shape.tokens;
      const float* delta = g.delta + (head_begin + h) * shape.tokens;
      for (std::int64_t r = 0; r < queries; r += kPanel) {
        const std::int64_t rows = std::min(kPanel, queries - r), offset = (h * kTile + r) * width;
        const Columns seen = gradient_panel(t, shape, run, t.queries + offset, t.douts + offset, log_sum_exp, delta,
                                            run.begin + r, 0, rows, tile, keys, width);
        if (seen.low >= seen.high) continue;
        multiply_panel(dq + offset, width, {t.dscores + seen.low, kTile, 1}, t.keys + seen.low * width, width, rows,
                       width, seen.high - seen.low, true);
      }
    }
  }
  for (std::int64_t h = 0; h < heads; ++h) {
    write_rows(g.dq.as<T>() + run.begin * query_row + (head_begin + h) * size, query_row, dq + h * kTile * width, width,
               queries, size, shape.scale);
  }
}

// delta = dout . out for every head of the tokens [begin, end).
template <typename T>
void delta_as(float* delta, const T* dout, const T* out, const AttentionShape& shape, std::int64_t begin,
              std::int64_t end) {
  const F32 d;
  for (std::int64_t token = begin; token < end; ++token) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      const std::int64_t offset = (token * shape.query_heads + head) * shape.head_size;
      auto sum = hn::Zero(d);
      std::int64_t i = 0;
      for (; i + lanes() <= shape.head_size; i += lanes()) {
        sum = hn::MulAdd(load(d, dout + offset + i), load(d, out + offset + i), sum);
      }
      float total = hn::GetLane(hn::SumOfLanes(d, sum));
      for (; i < shape.head_size; ++i) {
        const OneF32 one;
        total += hn::GetLane(load(one, dout + offset + i)) * hn::GetLane(load(one, out + offset + i));
      }
      delta[head * shape.tokens + token] = total;
    }
  }
}

void attention_delta_tokens(const AttentionGradients& g, const AttentionShape& shape, std::int64_t begin,
                            std::int64_t end) {
  if (g.q.dtype == DType::kF32) {
    delta_as(g.delta, g.dout.as<float>(), g.out.as<float>(), shape, begin, end);
  } else {
    delta_as(g.delta, g.dout.as<bf16>(), g.out.as<bf16>(), shape, begin, end);
  }
}

void attention_backward_keys(const AttentionGradients& g, const AttentionShape& shape, const Run& run,
                             std::int64_t key_head) {
  if (g.q.dtype == DType::kF32) {
    keys_run<float>(g, shape, run, key_head, false);
  } else {
    keys_run<bf16>(g, shape, run, key_head, false);
  }
}

// All gradients of one sequence and key head in one pass; f32 only.
void attention_backward_sequence(const AttentionGradients& g, const AttentionShape& shape, std::int64_t first,
                                 std::int64_t last, std::int64_t key_head) {
  const std::int64_t query_row = shape.query_heads * shape.head_size, group = shape.group() * shape.head_size;
  for (std::int64_t token = first; token < last; ++token) {
    set_zero(g.dq.as<float>() + token * query_row + key_head * group, group);
  }
  for (std::int64_t block = first / kTile; block * kTile < last; ++block) {
    const Run run{std::max(block * kTile, first), std::min((block + 1) * kTile, last), first, last};
    keys_run<float>(g, shape, run, key_head, true);
  }
}

void attention_backward_queries(const AttentionGradients& g, const AttentionShape& shape, const Run& run,
                                std::int64_t key_head, std::int64_t head_begin, std::int64_t head_end) {
  if (g.q.dtype == DType::kF32) {
    queries_run<float>(g, shape, run, key_head, head_begin, head_end);
  } else {
    queries_run<bf16>(g, shape, run, key_head, head_begin, head_end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(attention_delta_tokens);
HWY_EXPORT(attention_backward_keys);
HWY_EXPORT(attention_backward_sequence);
HWY_EXPORT(attention_backward_queries);

std::size_t attention_scratch_bytes(std::int64_t head_size) {
  constexpr std::int64_t kLanes = 16;  // of the widest vectors
  const std::int64_t width = (head_size + kLanes - 1) / kLanes * kLanes;
  const std::size_t bytes = static_cast<std::size_t>(backward_floats(width)) * sizeof(float);
  return multiplies_bf16_tiles(DType::kBF16) ? std::max(bytes, attention_bf16_scratch_bytes(head_size)) : bytes;
}

void attention_backward(TensorView dq, TensorView dk, TensorView dv, TensorView dout, TensorView q, TensorView k,
                        TensorView v, TensorView out, TensorView log_sum_exp, TensorView delta,
                        std::span<const std::int32_t> sequence_starts, const AttentionParams& params) {
  const OpTimer timer(OpFamily::kAttention);
  const char* where = "attention_backward";
  const AttentionShape shape = attention_shape(where, q, k, v, sequence_starts, params);
  require_activations(where, {q, dq, dk, dv, dout, out});
  require_equal_size(where, {q, dq, dout, out});
  require_equal_size(where, {k, dk, dv});
  require_f32(where, {log_sum_exp, delta});
  require(log_sum_exp.elements() == shape.query_heads * shape.tokens, where, "log_sum_exp [H, N]");
  require_equal_size(where, {log_sum_exp, delta});
  const AttentionGradients g{dq, dk, dv, dout, q, k, v, out, log_sum_exp.as<float>(), delta.as<float>()};
  if (multiplies_bf16_tiles(q.dtype) && shape.scale > 0) return attention_backward_bf16(g, shape);

  parallel_ranges(shape.tokens, row_grain(shape.query_heads * shape.head_size),
                  [&](std::int64_t begin, std::int64_t end) {
                    HWY_DYNAMIC_DISPATCH(attention_delta_tokens)(g, shape, begin, end);
                  });
  if (q.dtype == DType::kF32 && enough_sequences(shape)) {
    const auto sequences = static_cast<std::int64_t>(shape.starts.size()) - 1;
    parallel_tasks(sequences * shape.key_heads, [&](std::int64_t task) {
      const auto sequence = static_cast<std::size_t>(task / shape.key_heads);
      HWY_DYNAMIC_DISPATCH(attention_backward_sequence)
      (g, shape, shape.starts[sequence], shape.starts[sequence + 1], task % shape.key_heads);
    });
    return;
  }
  // Early keys are seen by more queries.
  parallel_tasks(shape.blocks() * shape.key_heads, [&](std::int64_t task) {
    for_runs(shape, task / shape.key_heads, [&](const Run& run) {
      HWY_DYNAMIC_DISPATCH(attention_backward_keys)(g, shape, run, task % shape.key_heads);
    });
  });
  for_query_tasks(shape, [&](const Run& run, std::int64_t key_head, std::int64_t head_begin, std::int64_t head_end) {
    HWY_DYNAMIC_DISPATCH(attention_backward_queries)(g, shape, run, key_head, head_begin, head_end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
