// Attention of one new token against the cache. Bound by reading the cache, and so by reading it in order: a task has a
// block of tokens, all heads go through it a few tokens at a time, and the partial results of the blocks are joined in order.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/attention.h"
#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention_decode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/attend_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_ATTENTION_DECODE
#define ATTUNE_OPS_ATTENTION_DECODE
// What a block contributes to one query head: an unnormalized output [D], its maximum score and its sum.
struct DecodePartials {
  float *outputs, *maxima, *sums;  // [blocks, H, D], [blocks, H], [blocks, H]
  float* weights;                  // [blocks, H, kCacheBlock], of the block's tokens before they are divided by a sum
};
#endif

namespace HWY_NAMESPACE {
namespace {

// All heads against `count` tokens, a block.
template <typename T>
void decode_as(const DecodePartials& partials, const T* q, const T* keys, const T* values, float scale,
               const CachedHeads& heads, std::int64_t block, std::int64_t count) {
  const std::int64_t slot = block * heads.count();
  float *const outputs = partials.outputs + slot * heads.size, *const weights = partials.weights + slot * kCacheBlock;
  score_block(weights, q, keys, heads, count, scale);
  for (std::int64_t head = 0; head < heads.count(); ++head) {
    float* const scores = weights + head * kCacheBlock;
    const float maximum = largest(scores, count, -std::numeric_limits<float>::infinity());
    partials.maxima[slot + head] = maximum;
    partials.sums[slot + head] = exponentials_below(scores, maximum, count);
  }
  std::fill_n(outputs, heads.count() * heads.size, 0.0f);
  add_block(outputs, weights, values, heads, count);
}

// The blocks' partial outputs joined; the result replaces block 0's output.
template <typename T>
void join_as(T* out, const DecodePartials& partials, std::int64_t blocks, std::int64_t heads, std::int64_t size) {
  for (std::int64_t head = 0; head < heads; ++head) {
    float maximum = partials.maxima[head];
    for (std::int64_t b = 1; b < blocks; ++b) maximum = HWY_MAX(maximum, partials.maxima[b * heads + head]);
    float* joined = partials.outputs + head * size;
    float sum = 0.0f;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const std::int64_t slot = b * heads + head;
      const float weight = std::exp(partials.maxima[slot] - maximum);
      sum += weight * partials.sums[slot];
      const float* part = partials.outputs + slot * size;
      for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto term = hn::Mul(load(d, part + i), hn::Set(d, weight));
        store(d, b == 0 ? term : hn::Add(load(d, joined + i), term), joined + i);
      });
    }
    for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, joined + i), hn::Set(d, 1.0f / sum)), out + head * size + i);
    });
  }
}

void attention_decode_block(const DecodePartials& partials, const TensorView& q, const TensorView& keys,
                            const TensorView& values, float scale, std::int64_t block, std::int64_t begin,
                            std::int64_t count) {
  const std::int64_t head_count = q.shape[0], key_heads = keys.shape[1];
  const CachedHeads heads{0, head_count, head_count / key_heads, key_heads, q.shape[1]};
  const std::int64_t at = begin * heads.row();
  if (q.dtype == DType::kF32) {
    decode_as(partials, q.as<float>(), keys.as<float>() + at, values.as<float>() + at, scale, heads, block, count);
  } else {
    decode_as(partials, q.as<bf16>(), keys.as<bf16>() + at, values.as<bf16>() + at, scale, heads, block, count);
  }
}

void attention_decode_join(const TensorView& out, const DecodePartials& partials, std::int64_t blocks) {
  if (out.dtype == DType::kF32) {
    join_as(out.as<float>(), partials, blocks, out.shape[0], out.shape[1]);
  } else {
    join_as(out.as<bf16>(), partials, blocks, out.shape[0], out.shape[1]);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(attention_decode_block);
HWY_EXPORT(attention_decode_join);

void attention_decode(TensorView out, TensorView q, TensorView cached_keys, TensorView cached_values,
                      std::int64_t length, const AttentionParams& params) {
  const OpTimer timer(OpFamily::kAttention);
  const char* where = "attention_decode";
  require_activations(where, {out, q, cached_keys, cached_values});
  require(q.shape.rank == 2 && out.shape == q.shape, where, "out, q [H, D]");
  require(cached_keys.shape.rank == 3 && cached_keys.shape == cached_values.shape, where, "caches [capacity, K, D]");
  require(cached_keys.shape[2] == q.shape[1] && q.shape[0] % cached_keys.shape[1] == 0, where,
          "heads of equal size, H a multiple of K");
  require(length >= 1 && length <= cached_keys.shape[0], where, "1 <= length <= capacity");
  const std::int64_t window = params.sliding_window;
  const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, length - window) : 0;
  const std::int64_t blocks = (length - first + kCacheBlock - 1) / kCacheBlock;
  const std::int64_t heads = q.shape[0], size = q.shape[1], slots = blocks * heads;
  DecodePartials partials;
  partials.outputs = thread_scratch(static_cast<std::size_t>(slots * (size + kCacheBlock + 2)));
  partials.weights = partials.outputs + slots * size;
  partials.maxima = partials.weights + slots * kCacheBlock;
  partials.sums = partials.maxima + slots;
  parallel_streams(blocks, 1, [&](std::int64_t block, std::int64_t) {
    const std::int64_t begin = first + block * kCacheBlock;
    HWY_DYNAMIC_DISPATCH(attention_decode_block)
    (partials, q, cached_keys, cached_values, params.scale, block, begin, std::min(length - begin, kCacheBlock));
  });
  HWY_DYNAMIC_DISPATCH(attention_decode_join)(out, partials, blocks);
}

}  // namespace attune
#endif  // HWY_ONCE
