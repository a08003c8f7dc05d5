// The two passes over a row of logits that every softmax makes. Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_SOFTMAX_INL_H_
#undef ATTUNE_OPS_SOFTMAX_INL_H_
#else
#define ATTUNE_OPS_SOFTMAX_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

HWY_INLINE float maximum(const float* x, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto m0 = hn::Set(d, x[0]), m1 = m0, m2 = m0, m3 = m0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    m0 = hn::Max(m0, hn::LoadU(d, x + i));
    m1 = hn::Max(m1, hn::LoadU(d, x + i + lanes));
    m2 = hn::Max(m2, hn::LoadU(d, x + i + 2 * lanes));
    m3 = hn::Max(m3, hn::LoadU(d, x + i + 3 * lanes));
  }
  float result = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
  for (; i < count; ++i) result = std::max(result, x[i]);
  return result;
}

// x = exp(x - shift); returns the sum.
HWY_INLINE float exponentials(float* x, std::int64_t count, float shift) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto subtract = hn::Set(d, shift);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto e0 = exponential(d, hn::Sub(hn::LoadU(d, x + i), subtract));
    const auto e1 = exponential(d, hn::Sub(hn::LoadU(d, x + i + lanes), subtract));
    hn::StoreU(e0, d, x + i);
    hn::StoreU(e1, d, x + i + lanes);
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < count; ++i) {
    const OneF32 one;
    const auto e = exponential(one, hn::Set(one, x[i] - shift));
    x[i] = hn::GetLane(e);
    sum += x[i];
  }
  return sum;
}

// exponentials() of a whole row: f32 sums of at most kBlock terms, added in f64, so that the sum over a large vocabulary
// keeps its last digits.
HWY_INLINE double exponentials_of_row(float* x, std::int64_t count, float shift) {
  constexpr std::int64_t kBlock = 2048;
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; i += kBlock) sum += exponentials(x + i, std::min(kBlock, count - i), shift);
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_SOFTMAX_INL_H_
