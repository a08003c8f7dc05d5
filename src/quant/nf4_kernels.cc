// NF4 blocks to f32 and bf16, and back.
//
// Decoding multiplies the 16 table values by a block's scale once, splits the 16 products into planes of
// single bytes, and looks the 64 codes up with byte shuffles; no multiplication or rounding is left in the
// inner loop. Planes are made for a group of blocks before they are read, so that the loads do not wait for
// the stores.
#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/kernels.h"
#include "quant/nf4.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/nf4_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kBlockBytes = 32;  // of codes

void DecodeScales(float* HWY_RESTRICT scales, const std::uint8_t* codes, const float* map, float absmax, float offset,
                  std::int64_t count) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int32_t, decltype(d)> d32;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + step <= count; i += step) {
    const auto values = hn::GatherIndex(d, map, hn::PromoteTo(d32, hn::LoadU(d8, codes + i)));
    hn::StoreU(hn::Add(hn::Mul(values, hn::Set(d, absmax)), hn::Set(d, offset)), d, scales + i);
  }
  for (; i < count; ++i) {
    const float product = map[codes[i]] * absmax;
    scales[i] = product + offset;
  }
}

#if HWY_TARGET == HWY_SCALAR  // no byte shuffles
template <typename Out>
void DecodeBlocks(Out* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  for (std::int64_t i = 0; i < blocks * kNf4Block; ++i) {
    const std::uint8_t code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    const float value = kNf4Values[code] * scales[i / kNf4Block];
    if constexpr (sizeof(Out) == 2)
      out[i] = to_bf16(value);
    else
      out[i] = value;
  }
}
#else
constexpr std::int64_t kGroup = 32;                      // blocks whose planes are made together
using Bytes = hn::CappedTag<std::uint8_t, kBlockBytes>;  // never more than one block: its lanes share one table

// Bits of the products of neighbouring table values, rounded to bf16 (in the upper half) when kBf16. Scales are finite,
// so a product is never a NaN that the rounding could carry into the sign.
template <bool kBf16, class Floats>
HWY_INLINE hn::Vec<Bytes> Products(Floats d, const float* values, hn::Vec<Floats> scale) {
  const hn::RebindToUnsigned<Floats> du;
  const Bytes d8;
  alignas(16) static constexpr std::uint8_t kGather[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  auto bits = hn::BitCast(du, hn::Mul(hn::Load(d, values), scale));
  if constexpr (kBf16) {
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    bits = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFF)));
  }
  // Byte p of the four products of each lane comes together as word p.
  return hn::TableLookupBytes(hn::BitCast(d8, bits), hn::LoadDup128(d8, kGather));
}

// Planes [4 or 2][16]: byte p of the product of each table value, low byte first (bf16: of its upper half).
template <bool kBf16>
HWY_INLINE void MakePlanes(std::uint8_t* planes, const float* scales, std::int64_t blocks) {
  const Bytes d8;
  const hn::Repartition<float, Bytes> d;
  const hn::Repartition<std::uint32_t, Bytes> d32;
  const hn::Repartition<std::uint64_t, Bytes> d64;
  const std::size_t lanes = hn::Lanes(d);
  alignas(32) float values[16];
  std::copy(kNf4Values.begin(), kNf4Values.end(), values);
  alignas(32) static constexpr std::uint32_t kOrder[8] = {0, 4, 1, 5, 2, 6, 3, 7};
  for (std::int64_t b = 0; b < blocks; ++b, planes += kBf16 ? 32 : 64) {
    const auto scale = hn::Set(d, scales[b]);
    const auto part = [&](std::size_t i)
                          HWY_ATTR { return hn::BitCast(d32, Products<kBf16>(d, values + i * lanes, scale)); };
    std::uint8_t* const upper = planes + (kBf16 ? 0 : 32);  // planes 2 and 3
    const auto p0 = part(0), p1 = part(1);
    if (lanes == 8) {
      const auto order = hn::SetTableIndices(d32, kOrder);
      const auto store = [&](std::uint8_t* to, auto pair) HWY_ATTR {  // halves of two planes, lane by lane
        hn::Store(hn::BitCast(d8, hn::TableLookupLanes(pair, order)), d8, to);
      };
      if constexpr (!kBf16) store(planes, hn::InterleaveLower(d32, p0, p1));
      store(upper, hn::InterleaveUpper(d32, p0, p1));
    } else {
      const auto p2 = part(2), p3 = part(3);
      const auto store = [&](std::uint8_t* to, auto a, auto c) HWY_ATTR {  // two planes, from halves of the table
        const auto first = hn::BitCast(d64, a), second = hn::BitCast(d64, c);
        hn::Store(hn::BitCast(d8, hn::InterleaveLower(d64, first, second)), d8, to);
        hn::Store(hn::BitCast(d8, hn::InterleaveUpper(d64, first, second)), d8, to + 16);
      };
      if constexpr (!kBf16) store(planes, hn::InterleaveLower(d32, p0, p1), hn::InterleaveLower(d32, p2, p3));
      store(upper, hn::InterleaveUpper(d32, p0, p1), hn::InterleaveUpper(d32, p2, p3));
    }
  }
}

// Highway interleaves inside 16-byte lanes, so lane l of an output vector is made of codes of lane l. These
// reorder the packed bytes so that the output comes out in order: words dealt out to the lanes in turn.
HWY_INLINE hn::Vec<Bytes> DealWords(hn::Vec<Bytes> packed) {  // for bf16: 4 bytes = 8 codes = one lane
  const Bytes d8;
  const hn::Repartition<std::uint32_t, Bytes> d32;
  if (hn::Lanes(d8) == 16) return packed;
  alignas(32) static constexpr std::uint32_t kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
  return hn::BitCast(d8, hn::TableLookupLanes(hn::BitCast(d32, packed), hn::SetTableIndices(d32, kOrder)));
}
HWY_INLINE hn::Vec<Bytes> DealHalfWords(hn::Vec<Bytes> packed) {  // for f32: 2 bytes = 4 codes = one lane
  const Bytes d8;
  const hn::Repartition<std::uint32_t, Bytes> d32;
  if (hn::Lanes(d8) == 16) return packed;
  alignas(16) static constexpr std::uint8_t kSplit[16] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};
  alignas(32) static constexpr std::uint32_t kOrder[8] = {0, 1, 4, 5, 2, 3, 6, 7};
  const auto split = hn::TableLookupBytes(packed, hn::LoadDup128(d8, kSplit));
  return hn::BitCast(d8, hn::TableLookupLanes(hn::BitCast(d32, split), hn::SetTableIndices(d32, kOrder)));
}

HWY_INLINE hn::Vec<Bytes> HighNibbles(hn::Vec<Bytes> packed) {
  const Bytes d8;
  const hn::Repartition<std::uint16_t, Bytes> d16;
  return hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, packed))), hn::Set(d8, 0x0F));
}

HWY_INLINE void DecodeBlock(bf16* out, const std::uint8_t* codes, const std::uint8_t* planes) {
  const Bytes d8;
  const auto low = hn::LoadDup128(d8, planes), high = hn::LoadDup128(d8, planes + 16);
  const std::size_t lanes = hn::Lanes(d8);
  auto* const target = reinterpret_cast<std::uint8_t*>(out);
  for (std::size_t at = 0; at < kBlockBytes; at += lanes) {
    const auto packed = DealWords(hn::LoadU(d8, codes + at));
    const auto first = HighNibbles(packed), second = hn::And(packed, hn::Set(d8, 0x0F));
    const auto expand = [&](std::size_t half, hn::Vec<Bytes> indices) HWY_ATTR {
      const auto l = hn::TableLookupBytes(low, indices), h = hn::TableLookupBytes(high, indices);
      std::uint8_t* const to = target + 4 * at + 2 * half * lanes;
      hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d8, l, h)), d8, to);
      hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d8, l, h)), d8, to + lanes);
    };
    expand(0, hn::InterleaveLower(d8, first, second));
    expand(1, hn::InterleaveUpper(d8, first, second));
  }
}

HWY_INLINE void DecodeBlock(float* out, const std::uint8_t* codes, const std::uint8_t* planes) {
  const Bytes d8;
  const hn::Repartition<std::uint16_t, Bytes> d16;
  const auto p0 = hn::LoadDup128(d8, planes), p1 = hn::LoadDup128(d8, planes + 16);
  const auto p2 = hn::LoadDup128(d8, planes + 32), p3 = hn::LoadDup128(d8, planes + 48);
  const std::size_t lanes = hn::Lanes(d8);
  auto* const target = reinterpret_cast<std::uint8_t*>(out);
  for (std::size_t at = 0; at < kBlockBytes; at += lanes) {
    const auto packed = DealHalfWords(hn::LoadU(d8, codes + at));
    const auto first = HighNibbles(packed), second = hn::And(packed, hn::Set(d8, 0x0F));
    const auto expand = [&](std::size_t half, hn::Vec<Bytes> indices) HWY_ATTR {
      const auto b0 = hn::TableLookupBytes(p0, indices), b1 = hn::TableLookupBytes(p1, indices);
      const auto b2 = hn::TableLookupBytes(p2, indices), b3 = hn::TableLookupBytes(p3, indices);
      std::uint8_t* const to = target + 8 * at + 4 * half * lanes;
      const auto low = hn::BitCast(d16, hn::InterleaveLower(d8, b0, b1));
      const auto high = hn::BitCast(d16, hn::InterleaveLower(d8, b2, b3));
      hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d16, low, high)), d8, to);
      hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d16, low, high)), d8, to + lanes);
      const auto low2 = hn::BitCast(d16, hn::InterleaveUpper(d8, b0, b1));
      const auto high2 = hn::BitCast(d16, hn::InterleaveUpper(d8, b2, b3));
      hn::StoreU(hn::BitCast(d8, hn::InterleaveLower(d16, low2, high2)), d8, to + 2 * lanes);
      hn::StoreU(hn::BitCast(d8, hn::InterleaveUpper(d16, low2, high2)), d8, to + 3 * lanes);
    };
    expand(0, hn::InterleaveLower(d8, first, second));
    expand(1, hn::InterleaveUpper(d8, first, second));
  }
}

template <typename Out>
void DecodeBlocks(Out* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  constexpr bool kBf16 = sizeof(Out) == 2;
  constexpr int kPlaneBytes = kBf16 ? 32 : 64;
  alignas(64) std::uint8_t planes[kGroup * kPlaneBytes];
  for (std::int64_t begin = 0; begin < blocks; begin += kGroup) {
    const std::int64_t count = std::min(kGroup, blocks - begin);
    MakePlanes<kBf16>(planes, scales + begin, count);
    for (std::int64_t b = 0; b < count; ++b) {
      DecodeBlock(out + (begin + b) * kNf4Block, codes + (begin + b) * kBlockBytes, planes + b * kPlaneBytes);
    }
  }
}

#endif  // HWY_SCALAR

void DecodeToFloat(float* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  DecodeBlocks(out, codes, scales, blocks);
}
void DecodeToBf16(bf16* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  DecodeBlocks(out, codes, scales, blocks);
}

// The code of x is the number of midpoints between neighbouring values that lie strictly below it.
bool EncodeBlocks(std::uint8_t* codes, float* absmax, const float* values, std::int64_t blocks) {
  const hn::CappedTag<float, kNf4Block> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const std::size_t lanes = hn::Lanes(d);
  float midpoints[15];
  for (std::size_t i = 0; i < 15; ++i) midpoints[i] = (kNf4Values[i] + kNf4Values[i + 1]) / 2;
  bool finite = true;
  alignas(64) std::uint8_t indices[kNf4Block];
  for (std::int64_t b = 0; b < blocks; ++b, values += kNf4Block, codes += kBlockBytes) {
    // Magnitudes of floats order as their bits do, NaN above infinity: an integer maximum loses neither.
    auto largest = hn::Zero(du);
    for (std::size_t i = 0; i < kNf4Block; i += lanes) {
      largest = hn::Max(largest, hn::BitCast(du, hn::Abs(hn::LoadU(d, values + i))));
    }
    absmax[b] = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(du, largest)));
    finite &= std::isfinite(absmax[b]);
    const auto inverse = hn::Set(d, 1.0f / std::max(absmax[b], 1e-38f));
    for (std::size_t i = 0; i < kNf4Block; i += lanes) {
      const auto x = hn::Mul(hn::LoadU(d, values + i), inverse);
      auto index = hn::Zero(di);
      for (const float midpoint : midpoints) {
        index = hn::Sub(index, hn::BitCast(di, hn::VecFromMask(d, hn::Gt(x, hn::Set(d, midpoint)))));
      }
      hn::StoreU(hn::TruncateTo(d8, hn::BitCast(du, index)), d8, indices + i);
    }
    for (std::size_t i = 0; i < kBlockBytes; ++i) {
      codes[i] = static_cast<std::uint8_t>(indices[2 * i] << 4 | indices[2 * i + 1]);
    }
  }
  return finite;
}

}  // namespace attune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(DecodeToFloat);
HWY_EXPORT(DecodeToBf16);
HWY_EXPORT(EncodeBlocks);
HWY_EXPORT(DecodeScales);

void decode_nf4_blocks(float* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  HWY_DYNAMIC_DISPATCH(DecodeToFloat)(out, codes, scales, blocks);
}
void decode_nf4_blocks(bf16* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks) {
  HWY_DYNAMIC_DISPATCH(DecodeToBf16)(out, codes, scales, blocks);
}
void decode_nf4_scales(float* scales, const std::uint8_t* codes, const float* map, float absmax, float offset,
                       std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(DecodeScales)(scales, codes, map, absmax, offset, count);
}
bool encode_nf4_blocks(std::uint8_t* codes, float* absmax, const float* values, std::int64_t blocks) {
  return HWY_DYNAMIC_DISPATCH(EncodeBlocks)(codes, absmax, values, blocks);
}

}  // namespace attune
#endif
