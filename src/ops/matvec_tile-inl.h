// Rows of codes against many vectors, for matvec.cc: a tile of the weight is widened to 16 bits once and stays in L1 while
// blocks of vectors pass by, four of them and two rows of the tile in registers. Every product is the sum that the kernels
// for one vector make, in their order. Included once per Highway target, hence the toggled guard.
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

// Rows of a weight at some blocks of 64 columns, and the running sums of their products with some vectors. NF4 has two of
// them for each, one of even blocks and one of odd ones.
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
  const auto step = static_cast<std::int64_t>(hn::Lanes(d16));
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int16_t* const to = tile.values + r * kTileColumns;
    float* const scales = tile.scales + r * kTileBlocks;
    if (weight.format == WeightFormat::kNF4) {
      const std::int64_t first = (row + r) * (weight.columns / kNf4Block) + block;
      const auto* const codes = static_cast<const std::uint8_t*>(weight.data) + first * (kNf4Block / 2);
      for (std::int64_t b = 0; b < blocks; ++b) {
        for_nf4_values(codes + b * (kNf4Block / 2), [&](auto values, std::int64_t place) HWY_ATTR {
          hn::Store(values, d16, to + b * kNf4Block + place);
        });
      }
      nf4_scales(scales, weight, first, blocks);
    } else {
      const hn::Rebind<std::int8_t, Fixed> d8;
      const auto* const codes =
          static_cast<const std::int8_t*>(weight.data) + (row + r) * weight.columns + block * kNf4Block;
      for (std::int64_t i = 0; i < blocks * kNf4Block; i += step) {
        hn::Store(hn::PromoteTo(d16, hn::LoadU(d8, codes + i)), d16, to + i);
      }
      std::fill(scales, scales + blocks, 1.0f);  // the row's own comes last
    }
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

// Adds block b of the tile to the totals of kVectors vectors and kRows rows: x[i] are the vectors from that block's
// column on, scales[i * kRows + j] those of the pairs. The sums alone fill the registers, so the totals stay in L1.
template <int kVectors, int kRows>
HWY_INLINE void add_block(float* HWY_RESTRICT totals, const std::int16_t* const* x, const std::int16_t* values,
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
  for (std::int64_t place = 0; place < kNf4Block; place += width) {
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
      const auto scale = hn::Set(d, scales[(i * kRows + j) * kTileBlocks + b]);
      hn::Store(hn::MulAdd(block_sum(sums[i][j], carries[i][j]), scale, hn::Load(d, total)), d, total);
    }
  }
}

// The blocks of the tile for kVectors vectors from v on and kRows rows from r on.
template <int kVectors, int kRows>
void add_pairs(WeightTile& tile, const FixedVector* x, std::int64_t v, std::int64_t r, std::int64_t block,
               std::int64_t blocks, bool two_totals) {
  alignas(64) float scales[kVectors * kRows * kTileBlocks];
  for (int i = 0; i < kVectors; ++i) {
    for (int j = 0; j < kRows; ++j) {
      const float* const of_row = tile.scales + (r + j) * kTileBlocks;
      const float* const of_vector = x[v + i].scales + block;
      float* const to = scales + (i * kRows + j) * kTileBlocks;
      for_lanes(0, blocks, [&](auto d, std::int64_t b) HWY_ATTR {
        store(d, hn::Mul(load(d, of_row + b), load(d, of_vector + b)), to + b);
      });
    }
  }
  const std::int16_t* factors[kVectors];
  for (int i = 0; i < kVectors; ++i) factors[i] = x[v + i].fixed + block * kNf4Block;
  const std::int64_t odd = two_totals ? 8 : 0;  // where the totals of odd blocks stand
  for (std::int64_t b = 0; b < blocks; ++b) {
    add_block<kVectors, kRows>(tile.totals_of(v, r) + b % 2 * odd, factors, tile.values + r * kTileColumns, b, scales);
  }
}

template <int kVectors>
void add_tile(WeightTile& tile, const FixedVector* x, std::int64_t v, std::int64_t rows, std::int64_t block,
              std::int64_t blocks, bool two_totals) {
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2) add_pairs<kVectors, 2>(tile, x, v, r, block, blocks, two_totals);
  if (r < rows) add_pairs<kVectors, 1>(tile, x, v, r, block, blocks, two_totals);
}

// Adds the tile's rows [row, row + rows) at all blocks to the totals of all vectors, at most kVectorsTogether.
inline void add_all_blocks(WeightTile& tile, std::span<const FixedVector> x, const WeightMatrix& weight,
                           std::int64_t row, std::int64_t rows) {
  const bool nf4 = weight.format == WeightFormat::kNF4;
  const std::int64_t count = std::ssize(x), blocks = weight.columns / kNf4Block;
  std::fill(tile.totals, tile.totals_of(count, 0), 0.0f);
  for (std::int64_t block = 0; block < blocks; block += kTileBlocks) {
    const std::int64_t here = std::min(kTileBlocks, blocks - block);
    fill_tile(tile, weight, row, rows, block, here);
    std::int64_t v = 0;
    for (; v + 4 <= count; v += 4) add_tile<4>(tile, x.data(), v, rows, block, here, nf4);
    if (v + 2 <= count) {
      add_tile<2>(tile, x.data(), v, rows, block, here, nf4);
      v += 2;
    }
    if (v < count) add_tile<1>(tile, x.data(), v, rows, block, here, nf4);
  }
}

// products[r] = row `row` + r of the weight times x, the v-th vector of the tile; kTileRows of them, whatever the weight has.
HWY_INLINE void finish_products(float* products, WeightTile& tile, std::int64_t v, const FixedVector& x,
                                const WeightMatrix& weight, std::int64_t row, std::int64_t rows) {
  const FixedTotals d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const bool nf4 = weight.format == WeightFormat::kNF4;
  alignas(64) float totals[kTileRows * 8];
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const float* const from = tile.totals_of(v, r);
    const auto even = hn::Load(d, from);
    hn::Store(nf4 ? hn::Add(even, hn::Load(d, from + 8)) : even, d, totals + r * lanes);
  }
  for (std::int64_t r = 0; r < kTileRows; r += lanes) {
    const auto sums = lane_sums(d, totals + r * lanes);
    hn::StoreU(nf4 ? hn::Mul(sums, hn::Set(d, 1.0f / kLargestFixed)) : sums, d, products + r);
  }
  if (nf4) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto* const codes = static_cast<const std::int8_t*>(weight.data) + (row + r) * weight.columns;
    for (std::int64_t i = weight.columns / kNf4Block * kNf4Block; i < weight.columns; ++i) {
      products[r] += static_cast<float>(codes[i]) * x.values[i];
    }
    products[r] *= weight.row_scales[row + r];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // ATTUNE_OPS_MATVEC_TILE_INL_H_
