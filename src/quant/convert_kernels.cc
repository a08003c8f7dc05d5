// Conversions between f32, bf16, f16 and int8 rows.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quant/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/convert_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<std::uint16_t, Floats>;

HWY_INLINE hn::Vec<Floats> LoadFloats(const float* in) { return hn::LoadU(Floats(), in); }
HWY_INLINE hn::Vec<Floats> LoadFloats(const bf16* in) {
  const auto bits = hn::PromoteTo(Words(), hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(in)));
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(bits));
}
HWY_INLINE hn::Vec<Floats> LoadFloats(const f16* in) {
  const hn::Rebind<hwy::float16_t, Floats> d;
  return hn::PromoteTo(Floats(), hn::LoadU(d, reinterpret_cast<const hwy::float16_t*>(in)));
}
HWY_INLINE hn::Vec<Floats> LoadFloats(const std::int8_t* in) {
  const hn::Rebind<std::int8_t, Floats> d8;
  const hn::RebindToSigned<Floats> di;
  return hn::ConvertTo(Floats(), hn::PromoteTo(di, hn::LoadU(d8, in)));
}

HWY_INLINE void StoreFloats(hn::Vec<Floats> x, float* out) { hn::StoreU(x, Floats(), out); }
HWY_INLINE void StoreFloats(hn::Vec<Floats> x, bf16* out) {
  const Words d;
  const auto bits = hn::BitCast(d, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(d, 0x400000));
  const auto value = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(x)), quiet, rounded);
  hn::StoreU(hn::TruncateTo(Halves(), hn::ShiftRight<16>(value)), Halves(), reinterpret_cast<std::uint16_t*>(out));
}

template <typename Out, typename In, typename Function>
HWY_INLINE void Map(Out* out, const In* in, std::int64_t count, const Function& function) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Floats()));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) StoreFloats(function(LoadFloats(in + i)), out + i);
  if (i >= count) return;
  In last_in[HWY_MAX_BYTES / sizeof(float)] = {};
  Out last_out[HWY_MAX_BYTES / sizeof(float)];
  std::memcpy(last_in, in + i, static_cast<std::size_t>(count - i) * sizeof(In));
  StoreFloats(function(LoadFloats(last_in)), last_out);
  std::memcpy(out + i, last_out, static_cast<std::size_t>(count - i) * sizeof(Out));
}

template <typename Out, typename In>
HWY_INLINE void Copy(Out* out, const In* in, std::int64_t count) {
  Map(out, in, count, [](hn::Vec<Floats> x) HWY_ATTR { return x; });
}
void Bf16ToFloat(float* out, const bf16* in, std::int64_t count) { Copy(out, in, count); }
void F16ToFloat(float* out, const f16* in, std::int64_t count) { Copy(out, in, count); }
void FloatToBf16(bf16* out, const float* in, std::int64_t count) { Copy(out, in, count); }
void F16ToBf16(bf16* out, const f16* in, std::int64_t count) { Copy(out, in, count); }

template <typename Out>
HWY_INLINE void Scale(Out* out, const std::int8_t* in, float scale, std::int64_t count) {
  const auto factor = hn::Set(Floats(), scale);
  Map(out, in, count, [=](hn::Vec<Floats> x) HWY_ATTR { return hn::Mul(x, factor); });
}
void Int8ToFloat(float* out, const std::int8_t* in, float scale, std::int64_t count) { Scale(out, in, scale, count); }
void Int8ToBf16(bf16* out, const std::int8_t* in, float scale, std::int64_t count) { Scale(out, in, scale, count); }

// Magnitudes of floats order as their bits do, NaN above infinity: an integer maximum loses neither.
float AbsoluteMaximum(const float* values, std::int64_t count) {
  const Words d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto largest = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, hn::BitCast(d, hn::Abs(hn::LoadU(Floats(), values + i))));
  }
  std::uint32_t result = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < count; ++i) result = std::max(result, std::bit_cast<std::uint32_t>(std::fabs(values[i])));
  return std::bit_cast<float>(result);
}

void RoundInt8(std::int8_t* out, const float* values, float factor, std::int64_t count) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<std::int8_t, Floats> d8;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto limit = hn::Set(di, 127), negative_limit = hn::Set(di, -127);
  const auto scale = hn::Set(d, factor);
  const auto code = [&](hn::Vec<Floats> x) HWY_ATTR {
    const auto rounded = hn::NearestInt(hn::Mul(x, scale));
    return hn::DemoteTo(d8, hn::Min(limit, hn::Max(negative_limit, rounded)));
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(code(hn::LoadU(d, values + i)), d8, out + i);
  if (i >= count) return;
  float last_in[HWY_MAX_BYTES / sizeof(float)] = {};
  std::int8_t last_out[HWY_MAX_BYTES / sizeof(float)];
  std::memcpy(last_in, values + i, static_cast<std::size_t>(count - i) * sizeof(float));
  hn::StoreU(code(hn::LoadU(d, last_in)), d8, last_out);
  std::memcpy(out + i, last_out, static_cast<std::size_t>(count - i));
}

}  // namespace attune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(Bf16ToFloat);
HWY_EXPORT(F16ToFloat);
HWY_EXPORT(FloatToBf16);
HWY_EXPORT(F16ToBf16);
HWY_EXPORT(Int8ToFloat);
HWY_EXPORT(Int8ToBf16);
HWY_EXPORT(AbsoluteMaximum);
HWY_EXPORT(RoundInt8);

namespace {
template <typename T>
void copy(T* out, const T* in, std::int64_t count) {
  if (count > 0) std::memcpy(out, in, static_cast<std::size_t>(count) * sizeof(T));
}
}  // namespace

void convert(float* out, const float* in, std::int64_t count) { copy(out, in, count); }
void convert(bf16* out, const bf16* in, std::int64_t count) { copy(out, in, count); }
void convert(float* out, const bf16* in, std::int64_t count) { HWY_DYNAMIC_DISPATCH(Bf16ToFloat)(out, in, count); }
void convert(float* out, const f16* in, std::int64_t count) { HWY_DYNAMIC_DISPATCH(F16ToFloat)(out, in, count); }
void convert(bf16* out, const float* in, std::int64_t count) { HWY_DYNAMIC_DISPATCH(FloatToBf16)(out, in, count); }
void convert(bf16* out, const f16* in, std::int64_t count) { HWY_DYNAMIC_DISPATCH(F16ToBf16)(out, in, count); }
void scale_int8(float* out, const std::int8_t* in, float scale, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(Int8ToFloat)(out, in, scale, count);
}
void scale_int8(bf16* out, const std::int8_t* in, float scale, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(Int8ToBf16)(out, in, scale, count);
}
float absolute_maximum(const float* values, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(AbsoluteMaximum)(values, count);
}
void round_int8(std::int8_t* out, const float* values, float factor, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(RoundInt8)(out, values, factor, count);
}

}  // namespace attune
#endif
