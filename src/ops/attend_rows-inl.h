// A query's heads against a block of cached keys and values, the arithmetic of attention_decode.cc and attention_paged.cc.
// What a head gets is made in the same order whichever heads are at work beside it.
// Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_ATTEND_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_ATTEND_ROWS_INL_H_
#undef ATTUNE_OPS_ATTEND_ROWS_INL_H_
#else
#define ATTUNE_OPS_ATTEND_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

#include "ops/lane_sums-inl.h"
#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_ATTEND_ROWS
#define ATTUNE_OPS_ATTEND_ROWS
constexpr std::int64_t kCacheBlock = 64;  // at most, cached tokens that are attended to at once

// The query heads [first, last), whole groups that share a key head, of rows of key_heads heads of `size` elements.
struct CachedHeads {
  std::int64_t first, last, group, key_heads, size;

  std::int64_t count() const { return last - first; }
  std::int64_t row() const { return key_heads * size; }
  std::int64_t key_head(std::int64_t head) const { return head / group; }
};
#endif

namespace HWY_NAMESPACE {

// totals[r] [lanes]: keys[r] times q over the whole vectors of [0, size), not yet summed over lanes.
template <int kRows, typename T>
HWY_INLINE void key_totals(float* HWY_RESTRICT totals, const T* q, const T* keys, std::int64_t stride,
                           std::int64_t size) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<F32> sums[kRows];
  for (int r = 0; r < kRows; ++r) sums[r] = hn::Zero(d);
  for (std::int64_t i = 0; i + lanes <= size; i += lanes) {
    const auto query = load(d, q + i);
    for (int r = 0; r < kRows; ++r) sums[r] = hn::MulAdd(query, load(d, keys + r * stride + i), sums[r]);
  }
  for (int r = 0; r < kRows; ++r) hn::StoreU(sums[r], d, totals + r * lanes);
}

// scores[j] = scale * q . keys[j] for `count` keys of `size` elements.
template <typename T>
HWY_INLINE void score_rows(float* HWY_RESTRICT scores, const T* q, const T* keys, std::int64_t stride,
                           std::int64_t count, std::int64_t size, float scale) {
  const F32 d;
  const OneF32 one;
  constexpr int kRows = 8;  // sums in flight: enough for the latency of the additions
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = size / lanes * lanes;
  HWY_ALIGN float totals[HWY_MAX(kRows, hn::MaxLanes(d)) * hn::MaxLanes(d)];
  const auto rest = [&](std::int64_t j) HWY_ATTR {
    float sum = 0.0f;
    for (std::int64_t i = whole; i < size; ++i) {
      sum += hn::GetLane(hn::Mul(load(one, q + i), load(one, keys + j * stride + i)));
    }
    return sum;
  };
  std::int64_t j = 0;
  const std::int64_t step = HWY_MAX(kRows, lanes);
  for (; j + step <= count; j += step) {
    for (std::int64_t r = 0; r < step; r += kRows) {
      key_totals<kRows>(totals + r * lanes, q, keys + (j + r) * stride, stride, size);
    }
    for (std::int64_t r = 0; r < step; r += lanes) {
      auto sums = lane_sums(d, totals + r * lanes);
      if (whole < size) {
        HWY_ALIGN float rests[hn::MaxLanes(d)];
        for (std::int64_t l = 0; l < lanes; ++l) rests[l] = rest(j + r + l);
        sums = hn::Add(sums, hn::Load(d, rests));
      }
      hn::StoreU(hn::Mul(hn::Set(d, scale), sums), d, scores + j + r);
    }
  }
  for (; j < count; ++j) {
    key_totals<1>(totals, q, keys + j * stride, stride, size);
    scores[j] = scale * (lane_sum(d, totals) + rest(j));
  }
}

template <int kVectors, typename T>
HWY_INLINE void add_columns(float* HWY_RESTRICT output, const float* HWY_RESTRICT weights, const T* values,
                            std::int64_t stride, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<F32> sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = hn::LoadU(d, output + v * lanes);
  for (std::int64_t j = 0; j < count; ++j) {
    const auto weight = hn::Set(d, weights[j]);
    for (int v = 0; v < kVectors; ++v) sums[v] = hn::MulAdd(weight, load(d, values + j * stride + v * lanes), sums[v]);
  }
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[v], d, output + v * lanes);
}

// output [size] += the sum of weights[j] * values[j] over `count` rows, in order.
template <typename T>
HWY_INLINE void add_weighted_rows(float* HWY_RESTRICT output, const float* HWY_RESTRICT weights, const T* values,
                                  std::int64_t stride, std::int64_t count, std::int64_t size) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  std::int64_t i = 0;
  for (; i + 8 * lanes <= size; i += 8 * lanes) add_columns<8>(output + i, weights, values + i, stride, count);
  for (; i + 4 * lanes <= size; i += 4 * lanes) add_columns<4>(output + i, weights, values + i, stride, count);
  for (; i + lanes <= size; i += lanes) add_columns<1>(output + i, weights, values + i, stride, count);
  const OneF32 one;
  for (; i < size; ++i) {
    for (std::int64_t j = 0; j < count; ++j) {
      output[i] += weights[j] * hn::GetLane(load(one, values + j * stride + i));
    }
  }
}

// weights[j] = exp(scores[j] - maximum), in place; their sum, whole vectors first.
HWY_INLINE float exponentials_below(float* scores, float maximum, std::int64_t count) {
  const F32 d;
  auto sums = hn::Zero(d);
  float rest = 0.0f;
  for_lanes(0, count, [&](auto lanes, std::int64_t j) HWY_ATTR {
    const auto weights = exponential(lanes, hn::Sub(load(lanes, scores + j), hn::Set(lanes, maximum)));
    store(lanes, weights, scores + j);
    if constexpr (std::is_same_v<decltype(lanes), F32>) {
      sums = hn::Add(sums, weights);
    } else {
      rest += hn::GetLane(weights);
    }
  });
  return hn::GetLane(hn::SumOfLanes(d, sums)) + rest;
}

HWY_INLINE float largest(const float* scores, std::int64_t count, float at_least) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto most = hn::Set(d, at_least);
  std::int64_t j = 0;
  for (; j + lanes <= count; j += lanes) most = hn::Max(most, hn::LoadU(d, scores + j));
  float result = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; j < count; ++j) result = HWY_MAX(result, scores[j]);
  return result;
}

// Calls body(i, its rows of a chunk, the chunk's first token, its tokens) for the i-th of the heads and every chunk of the
// `count` tokens from `rows` on: all heads pass by a few rows while they stay in L1, each asking for its share of the next
// ones, so that memory is read in order.
template <typename T, class Body>
HWY_INLINE void for_heads(const CachedHeads& heads, const T* rows, std::int64_t count, const Body& body) {
  constexpr std::int64_t kChunk = 16;
  const std::int64_t row = heads.row(), column = heads.key_head(heads.first) * heads.size;
  const std::int64_t columns = heads.count() / heads.group * heads.size;
  for (std::int64_t chunk = 0; chunk < count; chunk += kChunk) {
    const std::int64_t tokens = HWY_MIN(kChunk, count - chunk), ahead = HWY_MIN(kChunk, count - chunk - tokens);
    const T* const next = rows + (chunk + tokens) * row + column;
    // Whole rows are one piece of memory, whose shares need not end with a row.
    const std::int64_t length = columns == row ? ahead * row : columns, pieces = columns == row ? 1 : ahead;
    const std::int64_t share = (length + heads.count() - 1) / heads.count();
    for (std::int64_t i = 0; i < heads.count(); ++i) {
      fetch_rows(next + i * share, row, pieces, HWY_MIN(share, length - i * share));
      body(i, rows + chunk * row + heads.key_head(heads.first + i) * heads.size, chunk, tokens);
    }
  }
}

// scores [heads, kCacheBlock] = scale * q . keys of the `count` tokens whose rows begin at `keys`; q is that of the first of
// the heads.
template <typename T>
void score_block(float* scores, const T* q, const T* keys, const CachedHeads& heads, std::int64_t count, float scale) {
  for_heads(heads, keys, count, [&](std::int64_t i, const T* rows, std::int64_t first, std::int64_t tokens) HWY_ATTR {
    score_rows(scores + i * kCacheBlock + first, q + i * heads.size, rows, heads.row(), tokens, heads.size, scale);
  });
}

// outputs [heads, D] += weights [heads, kCacheBlock] times the values of the tokens.
template <typename T>
void add_block(float* outputs, const float* weights, const T* values, const CachedHeads& heads, std::int64_t count) {
  for_heads(heads, values, count, [&](std::int64_t i, const T* rows, std::int64_t first, std::int64_t tokens) HWY_ATTR {
    add_weighted_rows(outputs + i * heads.size, weights + i * kCacheBlock + first, rows, heads.row(), tokens,
                      heads.size);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_ATTEND_ROWS_INL_H_
