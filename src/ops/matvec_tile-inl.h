// Rows of NF4 against many vectors, for matvec.cc: a tile of the weight is widened to 16 bits once and stays in L1 while
// blocks of vectors pass by, four of them and two rows of the tile in registers. Every product is the sum that the kernel
// for one vector makes, in its order. Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_MATVEC_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_MATVEC_TILE_INL_H_
#undef ATTUNE_OPS_MATVEC_TILE_INL_H_
#else
#define ATTUNE_OPS_MATVEC_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "ops/fixed_point-inl.h"
#include "ops/lane_sums-inl.h"
#include "quant/weight.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

constexpr std::int64_t kTileRows = 8, kTileBlocks = 16;  // the values: 16 kB, half of L1
constexpr std::int64_t kTileColumns = kTileBlocks * kNf4Block;

// Rows of a weight at some blocks of 64 columns, and the running sums of their products with some vectors: two for each,
// one of even blocks and one of odd ones.
struct WeightTile {
  alignas(64) std::int16_t values[kTileRows * kTileColumns];
  alignas(64) float scales[kTileRows * kTileBlocks];
  alignas(64) float totals[kVectorsTogether * kTileRows * 2 * 8];

  // Of vector v and row r.
  float* totals_of(std::int64_t v, std::int64_t r) { return totals + (v * kTileRows + r) * 2 * 8; }
};

HWY_INLINE void fill_tile(WeightTile& tile, const WeightMatrix& weight, std::int64_t row, std::int64_t rows,
                          std::int64_t block, std::int64_t blocks) {
  const Fixed d16;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int16_t* const to = tile.values + r * kTileColumns;
    const std::int64_t first = (row + r) * (weight.columns / kNf4Block) + block;
    const auto* const codes = static_cast<const std::uint8_t*>(weight.data) + first * (kNf4Block / 2);
    for (std::int64_t b = 0; b < blocks; b += kBlocksTogether) {
      for_nf4_values(codes + b * (kNf4Block / 2), b + kBlocksTogether <= blocks,
                     [&](auto values, std::int64_t place)
                         HWY_ATTR { hn::Store(values, d16, to + b * kNf4Block + place); });
    }
    nf4_scales(tile.scales + r * kTileBlocks, weight, first, blocks);
  }
}

// Keeps a vector in its register from here on. GCC reads operands from memory again for every product and multiplies ahead
// of adding until the registers no longer hold the sums.
template <class V>
HWY_INLINE void keep_in_register(V& v) {
#if HWY_ARCH_X86
  asm("" : "+v"(v.raw));
#else
  (void)v;
#endif
}

// Adds the blocks from b on of the tile, as many as stand together, to the totals of kVectors vectors and kRows rows: x[i]
// are the vectors from that block's column on, scales[i * kRows + j] those of the pairs. The sums alone fill the registers,
// so the totals stay in L1.
template <int kVectors, int kRows>
HWY_INLINE void add_blocks(float* HWY_RESTRICT totals, const std::int16_t* const* x, const std::int16_t* values,
                           std::int64_t b, const float* HWY_RESTRICT scales) {
  const Fixed d16;
  const FixedSums d32;
  const FixedTotals d;
  const auto width = static_cast<std::int64_t>(hn::Lanes(d16));
  hn::Vec<FixedSums> sums[kVectors][kRows], carries[kVectors][kRows];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kRows; ++j) sums[i][j] = carries[i][j] = hn::Zero(d32);
  }
#pragma GCC unroll 4
  for (std::int64_t place = 0; place < kValuesTogether; place += width) {
    hn::Vec<Fixed> weights[kRows];
#pragma GCC unroll 4
    for (int j = 0; j < kRows; ++j) {
      weights[j] = hn::Load(d16, values + j * kTileColumns + b * kNf4Block + place);
      keep_in_register(weights[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      auto factor = hn::LoadU(d16, x[i] + b * kNf4Block + place);
      keep_in_register(factor);
#pragma GCC unroll 4
      for (int j = 0; j < kRows; ++j) {
        add_products(weights[j], factor, place, sums[i][j], carries[i][j]);
        keep_in_register(sums[i][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kRows; ++j) {
      float* const total = totals + (i * kTileRows + j) * 2 * 8;
      const auto scale = scales_together(scales + (i * kRows + j) * kTileBlocks + b);
      hn::Store(hn::MulAdd(block_sum(sums[i][j], carries[i][j]), scale, hn::Load(d, total)), d, total);
    }
  }
}

// The blocks of the tile for kVectors vectors from v on and kRows rows from r on.
template <int kVectors, int kRows>
void add_pairs(WeightTile& tile, const FixedVector* x, std::int64_t v, std::int64_t r, std::int64_t block,
               std::int64_t blocks) {
  alignas(64) float scales[kVectors * kRows * kTileBlocks];
  for (int i = 0; i < kVectors; ++i) {
    for (int j = 0; j < kRows; ++j) {
      const float* const of_row = tile.scales + (r + j) * kTileBlocks;
      const float* const of_vector = x[v + i].scales + block;
      float* const to = scales + (i * kRows + j) * kTileBlocks;
      for_lanes(0, blocks, [&](auto d, std::int64_t b) HWY_ATTR {
        store(d, hn::Mul(load(d, of_row + b), load(d, of_vector + b)), to + b);
      });
      if (blocks % 2 != 0) to[blocks] = 0.0f;
    }
  }
  const std::int16_t* factors[kVectors];
  for (int i = 0; i < kVectors; ++i) factors[i] = x[v + i].fixed + block * kNf4Block;
  for (std::int64_t b = 0; b < blocks; b += kBlocksTogether) {
    add_blocks<kVectors, kRows>(tile.totals_of(v, r) + b % 2 * 8, factors, tile.values + r * kTileColumns, b, scales);
  }
}

template <int kVectors>
void add_tile(WeightTile& tile, const FixedVector* x, std::int64_t v, std::int64_t rows, std::int64_t block,
              std::int64_t blocks) {
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2) add_pairs<kVectors, 2>(tile, x, v, r, block, blocks);
  if (r < rows) add_pairs<kVectors, 1>(tile, x, v, r, block, blocks);
}

// Adds the tile's rows [row, row + rows) at all blocks to the totals of all vectors, at most kVectorsTogether.
inline void add_all_blocks(WeightTile& tile, std::span<const FixedVector> x, const WeightMatrix& weight,
                           std::int64_t row, std::int64_t rows) {
  const std::int64_t count = std::ssize(x), blocks = weight.columns / kNf4Block;
  std::fill(tile.totals, tile.totals_of(count, 0), 0.0f);
  for (std::int64_t block = 0; block < blocks; block += kTileBlocks) {
    const std::int64_t here = std::min(kTileBlocks, blocks - block);
    fill_tile(tile, weight, row, rows, block, here);
    std::int64_t v = 0;
    for (; v + 4 <= count; v += 4) add_tile<4>(tile, x.data(), v, rows, block, here);
    if (v + 2 <= count) {
      add_tile<2>(tile, x.data(), v, rows, block, here);
      v += 2;
    }
    if (v < count) add_tile<1>(tile, x.data(), v, rows, block, here);
  }
}

// products[r] = row r of the tile times its vector v.
HWY_INLINE void finish_products(float* products, WeightTile& tile, std::int64_t v) {
  const BlockTotals d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  alignas(64) float totals[kTileRows * 8];
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const float* const from = tile.totals_of(v, r);
    hn::Store(hn::Add(hn::Load(d, from), hn::Load(d, from + 8)), d, totals + r * lanes);
  }
  for (std::int64_t r = 0; r < kTileRows; r += lanes) {
    hn::StoreU(hn::Mul(lane_sums(d, totals + r * lanes), hn::Set(d, 1.0f / kLargestFixed)), d, products + r);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // ATTUNE_OPS_MATVEC_TILE_INL_H_
