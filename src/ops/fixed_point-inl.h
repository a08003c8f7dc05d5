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
// A row of x as the kernels read it: f32, and in fixed point with a scale for each 64. The last block is padded with zeros,
// and where their number is odd there is one more of zeros, which has no scale.
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

// Whole, and twice over: the fifth bit of an index does not matter.
struct FixedWords {
  alignas(64) std::int16_t values[32];
};
constexpr FixedWords fixed_words() {
  FixedWords words{};
  for (std::size_t i = 0; i < 32; ++i) {
    words.values[i] = static_cast<std::int16_t>(kFixedNf4.low[i % 16] | kFixedNf4.high[i % 16] << 8);
  }
  return words;
}
constexpr FixedWords kFixedNf4Words = fixed_words();

#if HWY_TARGET != HWY_SCALAR
// Vectors of 512 bits take two blocks of NF4 side by side: an even one in their lower half, the odd one after it in the
// upper. Shorter ones take a block, or half of one.
#undef ATTUNE_NF4_PAIRS
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
#define ATTUNE_NF4_PAIRS 1
constexpr std::int64_t kBlocksTogether = 2;
using Codes = hn::CappedTag<std::uint8_t, 64>;
#else
#define ATTUNE_NF4_PAIRS 0
constexpr std::int64_t kBlocksTogether = 1;
using Codes = hn::CappedTag<std::uint8_t, 32>;
#endif
using Fixed = hn::Repartition<std::int16_t, Codes>;
using FixedSums = hn::Repartition<std::int32_t, Codes>;
using FixedTotals = hn::Repartition<float, Codes>;
using BlockTotals = hn::CappedTag<float, 8>;  // what is left of the totals when even and odd blocks are added up
constexpr std::int64_t kValuesTogether = kBlocksTogether * kNf4Block;

// Calls use(values, place) for every vector of the values of kBlocksTogether blocks, `codes` being their bytes; they stand
// at `place` in the order below. Where only the first of them is there, the others' values are anything.
template <class Use>
HWY_INLINE void for_nf4_values(const std::uint8_t* codes, bool all, const Use& use) {
  const Codes d8;
  const Fixed d16;
#if ATTUNE_NF4_PAIRS
  // Four codes to a word: each is shifted to the end and looked up there, where the lookup ignores what is above it.
  const auto table = hn::Load(d16, kFixedNf4Words.values);
  const hn::Half<Codes> first_block;
  const auto packed =
      hn::BitCast(d16, all ? hn::LoadU(d8, codes) : hn::ZeroExtendVector(d8, hn::LoadU(first_block, codes)));
  const auto look_up = [&](auto words, std::int64_t place)
                           HWY_ATTR { use(hn::Vec<Fixed>{_mm512_permutexvar_epi16(words.raw, table.raw)}, place); };
  look_up(packed, 0);
  look_up(hn::ShiftRight<4>(packed), 32);
  look_up(hn::ShiftRight<8>(packed), 64);
  look_up(hn::ShiftRight<12>(packed), 96);
#else
  (void)all;
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
#endif
}

// Adds products of the vectors at `place` of a block to its sum. Where a vector is so short that a lane meets 16 products,
// the second half of them goes into the carry.
template <class V16, class V32>
HWY_INLINE void add_products(V16 a, V16 b, std::int64_t place, V32& sum, V32& carry) {
  const FixedSums d32;
  if (hn::Lanes(d32) >= 8 || place < kNf4Block / 2) {
    sum = hn::ReorderWidenMulAccumulate(d32, a, b, sum, carry);
  } else {
    carry = hn::ReorderWidenMulAccumulate(d32, a, b, carry, sum);
  }
}

template <class V32>
HWY_INLINE hn::Vec<FixedTotals> block_sum(V32 sum, V32 carry) {
  const FixedTotals d;
  const auto converted = hn::ConvertTo(d, sum);
  if (hn::Lanes(d) >= 8) return converted;  // there the multiply adds pairs itself
  return hn::Add(converted, hn::ConvertTo(d, carry));
}

// to [8, or as many lanes as there are] = the totals of even blocks plus those of odd ones.
HWY_INLINE void store_totals(const hn::Vec<FixedTotals>* totals, float* to) {
  const BlockTotals d;
#if ATTUNE_NF4_PAIRS
  hn::Store(hn::Add(hn::LowerHalf(d, *totals), hn::UpperHalf(d, *totals)), d, to);
#else
  hn::Store(hn::Add(totals[0], totals[1]), d, to);
#endif
}

// For each lane the scale of its block, of those that begin at scales[0].
HWY_INLINE hn::Vec<FixedTotals> scales_together(const float* scales) {
  const FixedTotals d;
#if ATTUNE_NF4_PAIRS
  return hn::IfThenElse(hn::FirstN(d, 8), hn::Set(d, scales[0]), hn::Set(d, scales[1]));
#else
  return hn::Set(d, *scales);
#endif
}
#endif

// to = the elements of one NF4 block in the order in which the lookups give their codes.
HWY_INLINE void store_in_nf4_order(const std::int16_t* HWY_RESTRICT from, std::int16_t* HWY_RESTRICT to) {
#if HWY_TARGET == HWY_SCALAR
  std::copy_n(from, kNf4Block, to);
#elif ATTUNE_NF4_PAIRS
  // Of each four elements the second, whose code is the end of a word, the first, the fourth, the third; the other
  // block's stand between.
  const hn::CappedTag<std::int16_t, 16> d16;
  hn::Vec<decltype(d16)> first, second, third, fourth;
  hn::LoadInterleaved4(d16, from, first, second, third, fourth);
  hn::StoreU(second, d16, to);
  hn::StoreU(first, d16, to + 32);
  hn::StoreU(fourth, d16, to + 64);
  hn::StoreU(third, d16, to + 96);
#else
  // Of each vector's 16-byte groups the high nibbles of their lower halves, of their upper halves, then the low nibbles.
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

// Where block `block` of a vector begins in that order.
inline std::int64_t place_of_block(std::int64_t block) {
#if HWY_TARGET != HWY_SCALAR && ATTUNE_NF4_PAIRS
  return block / 2 * kValuesTogether + block % 2 * 16;
#else
  return block * kNf4Block;
#endif
}

// Fills `fixed` and `scales` from `values`: for NF4 in the order above, else as they are. `fixed` has room for pairs of
// blocks.
inline void prepare_vector(const FixedVector& x, bool nf4) {
  alignas(64) std::int16_t fixed[kNf4Block];
  const auto store_block = [&](std::int64_t block) {
    if (nf4) {
      store_in_nf4_order(fixed, x.fixed + place_of_block(block));
    } else {
      std::copy_n(fixed, kNf4Block, x.fixed + block * kNf4Block);
    }
  };
  std::int64_t block = 0;
  for (std::int64_t begin = 0; begin < x.count; begin += kNf4Block, ++block) {
    const std::int64_t count = std::min(kNf4Block, x.count - begin);
    const float largest = largest_magnitude(x.values + begin, count);
    std::fill(fixed + count, fixed + kNf4Block, std::int16_t{0});
    round_codes(fixed, x.values + begin, largest > 0.0f ? kLargestFixed / largest : 0.0f, count);
    store_block(block);
    x.scales[block] = largest / kLargestFixed;
  }
  if (block % 2 == 0) return;
  std::fill_n(fixed, kNf4Block, std::int16_t{0});
  store_block(block);
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_FIXED_POINT_INL_H_
