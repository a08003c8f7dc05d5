// Products in fixed point, for matvec.cc: x and the values of NF4 as 16-bit numbers, a block of 64 after the other. Within
// a block every sum is one of integers and exact; across blocks each kernel adds in the same order. Included once per
// Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_FIXED_POINT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_FIXED_POINT_INL_H_
#undef ATTUNE_OPS_FIXED_POINT_INL_H_
#else
#define ATTUNE_OPS_FIXED_POINT_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "ops/simd-inl.h"
#include "quant/nf4.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_FIXED_VECTOR
#define ATTUNE_OPS_FIXED_VECTOR
// A row of x as the kernels read it: f32, and in fixed point with a scale for each 64 (the last block padded with zeros).
struct FixedVector {
  const float* values;
  std::int16_t* fixed;
  float* scales;
  std::int64_t count;
};
constexpr std::int64_t kVectorsTogether = 64;  // at most; in fixed point they fit into L2
#endif

namespace HWY_NAMESPACE {

constexpr float kLargestFixed = 16383.0f;  // 8 products of two such numbers stay below 2^31

// NF4's values as such numbers, byte by byte: low[code] + 256 * high[code].
struct FixedTable {
  std::uint8_t low[16], high[16];
};
constexpr FixedTable fixed_table() {
  FixedTable table{};
  for (std::size_t i = 0; i < 16; ++i) {
    const float value = kNf4Values[i] * kLargestFixed;
    const auto fixed = static_cast<std::uint16_t>(static_cast<std::int16_t>(value + (value < 0 ? -0.5f : 0.5f)));
    table.low[i] = static_cast<std::uint8_t>(fixed & 255), table.high[i] = static_cast<std::uint8_t>(fixed >> 8);
  }
  return table;
}
constexpr FixedTable kFixedNf4 = fixed_table();

#if HWY_TARGET != HWY_SCALAR
using Codes = hn::CappedTag<std::uint8_t, 32>;
using Fixed = hn::Repartition<std::int16_t, Codes>;
using FixedSums = hn::Repartition<std::int32_t, Codes>;
using FixedTotals = hn::Repartition<float, Codes>;

// Calls use(values, place) for every vector of a block's values, `codes` being its 32 bytes; they stand at `place` in the
// block's order below.
template <class Use>
HWY_INLINE void for_nf4_values(const std::uint8_t* codes, const Use& use) {
  const Codes d8;
  const Fixed d16;
  const auto bytes = static_cast<std::int64_t>(hn::Lanes(d8)), step = bytes / 2;
  const auto low_table = hn::LoadDup128(d8, kFixedNf4.low), high_table = hn::LoadDup128(d8, kFixedNf4.high);
  const auto nibble = hn::Set(d8, 15);
  const auto look_up = [&](auto indices, std::int64_t place) HWY_ATTR {
    const auto low = hn::TableLookupBytes(low_table, indices), high = hn::TableLookupBytes(high_table, indices);
    use(hn::BitCast(d16, hn::InterleaveLower(d8, low, high)), place);
    use(hn::BitCast(d16, hn::InterleaveUpper(d8, low, high)), place + step);
  };
  for (std::int64_t at = 0; at < kNf4Block / 2; at += bytes) {
    const auto packed = hn::LoadU(d8, codes + at);
    look_up(hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, packed))), nibble), 2 * at);
    look_up(hn::And(packed, nibble), 2 * at + bytes);
  }
}

// Adds products of the vectors at `place` of a block to its sum. Where a vector is half as long, a lane meets 16 products:
// the second half of them goes into the carry.
template <class V16, class V32>
HWY_INLINE void add_products(V16 a, V16 b, std::int64_t place, V32& sum, V32& carry) {
  const FixedSums d32;
  if (hn::Lanes(d32) == 8 || place < kNf4Block / 2) {
    sum = hn::ReorderWidenMulAccumulate(d32, a, b, sum, carry);
  } else {
    carry = hn::ReorderWidenMulAccumulate(d32, a, b, carry, sum);
  }
}

template <class V32>
HWY_INLINE hn::Vec<FixedTotals> block_sum(V32 sum, V32 carry) {
  const FixedTotals d;
  const auto converted = hn::ConvertTo(d, sum);
  if (hn::Lanes(d) == 8) return converted;  // there the multiply adds pairs itself
  return hn::Add(converted, hn::ConvertTo(d, carry));
}
#endif

// to = the elements of an NF4 block as the byte lookups give its codes: of each vector's 16-byte groups the high nibbles of
// their lower halves, of their upper halves, then the low nibbles.
HWY_INLINE void store_in_nf4_order(const std::int16_t* HWY_RESTRICT from, std::int16_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_SCALAR
  std::copy_n(from, kNf4Block, to);
#else
  const hn::CappedTag<std::int16_t, 8> d16;
  const auto bytes = static_cast<std::int64_t>(hn::Lanes(Codes())), groups = bytes / 16;
  for (std::int64_t byte = 0; byte < kNf4Block / 2; byte += 8) {
    const std::int64_t group = byte % bytes / 16, upper = byte % 16 / 8;
    std::int16_t* const vector = to + byte / bytes * 2 * bytes;
    hn::Vec<decltype(d16)> high, low;
    hn::LoadInterleaved2(d16, from + 2 * byte, high, low);
    hn::StoreU(high, d16, vector + (upper * groups + group) * 8);
    hn::StoreU(low, d16, vector + ((2 + upper) * groups + group) * 8);
  }
#endif
}

// Fills `fixed` and `scales` from `values`: for NF4 in the order above, else as they are.
inline void prepare_vector(const FixedVector& x, bool nf4) {
  alignas(64) std::int16_t fixed[kNf4Block];
  for (std::int64_t begin = 0; begin < x.count; begin += kNf4Block) {
    const std::int64_t count = std::min(kNf4Block, x.count - begin);
    const float largest = largest_magnitude(x.values + begin, count);
    std::fill(fixed + count, fixed + kNf4Block, std::int16_t{0});
    round_codes(fixed, x.values + begin, largest > 0.0f ? kLargestFixed / largest : 0.0f, count);
    if (nf4) {
      store_in_nf4_order(fixed, x.fixed + begin);
    } else {
      std::copy_n(fixed, kNf4Block, x.fixed + begin);
    }
    x.scales[begin / kNf4Block] = largest / kLargestFixed;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_FIXED_POINT_INL_H_
