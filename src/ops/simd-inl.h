// What every vector kernel of ops shares: loads and stores that convert, an exponential, and the loop over
// lanes. Included once per Highway target (see foreach_target.h), hence the toggled guard instead of #pragma
// once.
#if defined(ATTUNE_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_SIMD_INL_H_
#undef ATTUNE_OPS_SIMD_INL_H_
#else
#define ATTUNE_OPS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using OneF32 = hn::CappedTag<float, 1>;

// Unaligned loads of Lanes(d) stored elements as f32.
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const bf16* from) {
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::Rebind<std::uint32_t, D> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const f16* from) {
  const hn::Rebind<hwy::float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(from)));
}

template <class D>
HWY_INLINE void store(D d, hn::Vec<D> v, float* to) {
  hn::StoreU(v, d, to);
}
// Rounds to nearest even as to_bf16 does; Highway's own DemoteTo truncates (1.0.3).
template <class D>
HWY_INLINE void store(D /*d*/, hn::Vec<D> v, bf16* to) {
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::Rebind<std::uint32_t, D> d32;
  const hn::Rebind<std::int32_t, D> di32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7FFFu)));
  const auto is_nan = hn::RebindMask(d32, hn::Not(hn::Eq(v, v)));  // Ne is false for NaN on x86
  const auto kept = hn::IfThenElse(is_nan, hn::Or(bits, hn::Set(d32, 0x400000u)), rounded);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, hn::ShiftRight<16>(kept))), d16, reinterpret_cast<std::uint16_t*>(to));
}

// Calls body(d, i) so that every element of [begin, end) is covered once: whole vectors, then single
// elements.
template <class Body>
HWY_INLINE void for_lanes(std::int64_t begin, std::int64_t end, const Body& body) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(d, i);
  for (; i < end; ++i) body(OneF32(), i);
}

// Asks for [rows, columns], rows `stride` apart, to be in L2 when their turn comes. The rows of a head lie apart in memory,
// where no processor expects the next one.
template <typename T>
HWY_INLINE void fetch_rows(const T* from, std::int64_t stride, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < columns; i += kLine) __builtin_prefetch(from + r * stride + i, 0, 2);
  }
}

// to[i] = values[i] * factor rounded to nearest even, plus `offset`; within the reach of T, an integer of 8 or 16 bits.
template <typename T>
HWY_INLINE void round_codes(T* HWY_RESTRICT to, const float* HWY_RESTRICT values, float factor, std::int64_t count,
                            std::int32_t offset = 0) {
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const F32 d;
  const hn::Rebind<std::int32_t, F32> d32;
  const hn::Rebind<T, F32> narrow;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (; i + step <= count; i += step) {
    const auto code = hn::NearestInt(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, factor)));
    hn::StoreU(hn::DemoteTo(narrow, hn::Add(code, hn::Set(d32, offset))), narrow, to + i);
  }
#endif
  for (; i < count; ++i) to[i] = static_cast<T>(std::lrint(values[i] * factor) + offset);
}

HWY_INLINE float largest_magnitude(const float* values, std::int64_t count) {
  const F32 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  auto most = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + step <= count; i += step) most = hn::Max(most, hn::Abs(hn::LoadU(d, values + i)));
  float result = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < count; ++i) result = std::max(result, std::abs(values[i]));
  return result;
}

// exp(x), within 1e-7 relative; 0 below -87.33 (where results would be subnormal), infinity above 88.37, NaN
// stays NaN. Cody-Waite reduction and the polynomial of Cephes' expf.
template <class D>
HWY_INLINE hn::Vec<D> exponential(D d, hn::Vec<D> x) {
  const hn::Rebind<std::int32_t, D> di;
  // Adding 1.5 * 2^23 + 127 leaves n + 127, n = round(x / ln 2), in the low bits of the mantissa: the
  // exponent of 2^n.
  const auto magic = hn::Set(d, 12582912.0f + 127.0f);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), magic);
  const auto n = hn::Sub(shifted, magic);
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  auto p = hn::MulAdd(hn::Set(d, 1.9875691500e-4f), r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
  const auto result = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.33f)), hn::Mul(p, power));
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.37f)), hn::BitCast(d, hn::Set(di, 0x7F800000)), result);
}

// 1 / (1 + exp(-x))
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_SIMD_INL_H_
