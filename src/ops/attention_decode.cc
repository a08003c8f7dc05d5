// Attention of one new token against the cache. Bound by reading the cache: a block of one key head stays in cache
// while all query heads of its group use it, and the partial results of the blocks are joined in order.
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

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_ATTENTION_DECODE
#define ATTUNE_OPS_ATTENTION_DECODE
inline constexpr std::int64_t kDecodeBlock = 256;  // cached tokens per task

// What a block contributes to one query head: an unnormalized output [D], its maximum score and its sum.
struct DecodePartials {
  float *outputs, *maxima, *sums;  // [blocks, H, D], [blocks, H], [blocks, H]
};
#endif

namespace HWY_NAMESPACE {
namespace {

template <typename T>
void decode_as(const DecodePartials& partials, const T* q, const T* keys, const T* values, float scale,
               std::int64_t heads, std::int64_t key_heads, std::int64_t size, std::int64_t block, std::int64_t key_head,
               std::int64_t begin, std::int64_t end) {
  const std::int64_t group = heads / key_heads, row = key_heads * size, count = end - begin;
  float scores[kDecodeBlock];
  for (std::int64_t head = key_head * group; head < (key_head + 1) * group; ++head) {
    float maximum = -std::numeric_limits<float>::infinity();
    for (std::int64_t j = 0; j < count; ++j) {
      scores[j] = scale * dot(q + head * size, keys + (begin + j) * row + key_head * size, size);
      maximum = HWY_MAX(maximum, scores[j]);
    }
    const std::int64_t slot = block * heads + head;
    float* output = partials.outputs + slot * size;
    for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::Zero(d), output + i); });
    for_lanes(0, count, [&](auto d, std::int64_t j) HWY_ATTR {
      store(d, exponential(d, hn::Sub(load(d, scores + j), hn::Set(d, maximum))), scores + j);
    });
    float sum = 0.0f;
    for (std::int64_t j = 0; j < count; ++j) {
      sum += scores[j];
      const T* value = values + (begin + j) * row + key_head * size;
      for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
        store(d, hn::MulAdd(hn::Set(d, scores[j]), load(d, value + i), load(d, output + i)), output + i);
      });
    }
    partials.maxima[slot] = maximum;
    partials.sums[slot] = sum;
  }
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
                            const TensorView& values, float scale, std::int64_t block, std::int64_t key_head,
                            std::int64_t begin, std::int64_t end) {
  const std::int64_t heads = q.shape[0], key_heads = keys.shape[1], size = q.shape[1];
  if (q.dtype == DType::kF32) {
    decode_as(partials, q.as<float>(), keys.as<float>(), values.as<float>(), scale, heads, key_heads, size, block,
              key_head, begin, end);
  } else {
    decode_as(partials, q.as<bf16>(), keys.as<bf16>(), values.as<bf16>(), scale, heads, key_heads, size, block,
              key_head, begin, end);
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
  const std::int64_t blocks = (length - first + kDecodeBlock - 1) / kDecodeBlock;
  const std::int64_t heads = q.shape[0], key_heads = cached_keys.shape[1], slots = blocks * heads;
  DecodePartials partials;
  partials.outputs = thread_scratch(static_cast<std::size_t>(slots * (q.shape[1] + 2)));
  partials.maxima = partials.outputs + slots * q.shape[1];
  partials.sums = partials.maxima + slots;
  parallel_tasks(blocks * key_heads, [&](std::int64_t task) {
    const std::int64_t block = task / key_heads, begin = first + block * kDecodeBlock;
    HWY_DYNAMIC_DISPATCH(attention_decode_block)
    (partials, q, cached_keys, cached_values, params.scale, block, task % key_heads, begin,
     std::min(length, begin + kDecodeBlock));
  });
  HWY_DYNAMIC_DISPATCH(attention_decode_join)(out, partials, blocks);
}

}  // namespace attune
#endif  // HWY_ONCE
