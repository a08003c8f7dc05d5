// Rows of codes against a few vectors. NF4: lookups make the 16-bit table value of each code, a widening multiply adds
// pairs in i32, and each block of 64 is scaled once. Vectors that share a row share the lookups, nothing else: the
// sums of each are made in the same order whatever stands beside it.
#include "ops/matvec.h"

#include <algorithm>
#include <span>
#include <vector>

#include "ops/check.h"
#include "ops/parallel.h"
#include "ops/scratch.h"
#include "quant/nf4.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/matvec.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/fixed_point-inl.h"
#include "ops/matvec_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

namespace HWY_NAMESPACE {
namespace {

// Bytes ahead of their use that weights are asked for: a core's own guess of what comes next stays too near. Codes take
// work, little of which fits into a core's window, so it would wait for memory and compute in turn; they are asked for twice,
// as far as L2 while memory is slow and into L1 just before.
constexpr std::int64_t kAhead = 2048, kCodesAhead = 1024, kCodesFarAhead = 4096;

HWY_INLINE void ask_for_codes(const void* at) {
  const auto* const bytes = static_cast<const char*>(at);
  __builtin_prefetch(bytes + kCodesAhead);
  __builtin_prefetch(bytes + kCodesFarAhead, 0, 2);
}

#if HWY_TARGET != HWY_SCALAR

// totals[v] [lanes]: row `row` of the weight, whose blocks have the given scales, times x[v], not yet summed over lanes.
template <int kVectors>
HWY_INLINE void nf4_totals(float* HWY_RESTRICT totals, const FixedVector* x, const WeightMatrix& weight,
                           std::int64_t row, const float* HWY_RESTRICT scales) {
  constexpr std::int64_t kScales = 64;
  const Fixed d16;
  const FixedSums d32;
  const FixedTotals d;
  const std::int64_t blocks = weight.columns / kNf4Block;
  const auto* const codes = static_cast<const std::uint8_t*>(weight.data) + row * blocks * (kNf4Block / 2);
  float scales_of[kVectors][kScales];           // times those of each vector's blocks
  constexpr int kChains = 2 / kBlocksTogether;  // even blocks and odd ones are summed apart
  hn::Vec<FixedTotals> sums_of_blocks[kVectors][kChains];
  for (int v = 0; v < kVectors; ++v) {
    for (int chain = 0; chain < kChains; ++chain) sums_of_blocks[v][chain] = hn::Zero(d);
  }
  // Adds the blocks from b on, the first being the i-th of its group, to the sums.
  const auto add_blocks = [&](std::int64_t b, std::int64_t i, bool all, int chain) HWY_ATTR {
    hn::Vec<FixedSums> sums[kVectors], carries[kVectors];
    for (int v = 0; v < kVectors; ++v) sums[v] = carries[v] = hn::Zero(d32);
    for_nf4_values(codes + b * (kNf4Block / 2), all, [&](auto values, std::int64_t place) HWY_ATTR {
      for (int v = 0; v < kVectors; ++v) {
        add_products(values, hn::LoadU(d16, x[v].fixed + b * kNf4Block + place), place, sums[v], carries[v]);
      }
    });
    for (int v = 0; v < kVectors; ++v) {
      auto& total = sums_of_blocks[v][chain];
      total = hn::MulAdd(block_sum(sums[v], carries[v]), scales_together(scales_of[v] + i), total);
    }
  };
  for (std::int64_t group = 0; group < blocks; group += kScales) {
    const std::int64_t count = std::min(kScales, blocks - group);
    for (int v = 0; v < kVectors; ++v) {
      for_lanes(0, count, [&](auto dl, std::int64_t i) HWY_ATTR {
        store(dl, hn::Mul(load(dl, scales + group + i), load(dl, x[v].scales + group + i)), scales_of[v] + i);
      });
      if (count % 2 != 0) scales_of[v][count] = 0.0f;
    }
    std::int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      ask_for_codes(codes + (group + i) * (kNf4Block / 2));
      for (int chain = 0; chain < kChains; ++chain) add_blocks(group + i + chain, i + chain, true, chain);
    }
    if (i < count) add_blocks(group + i, i, false, 0);
  }
  for (int v = 0; v < kVectors; ++v) {
    store_totals(sums_of_blocks[v], totals + v * hn::Lanes(BlockTotals()));
  }
}

// products[v] = row `row` of the weight times x[v].
template <int kVectors>
HWY_INLINE void nf4_row(float* products, const FixedVector* x, const WeightMatrix& weight, std::int64_t row,
                        const float* scales) {
  const BlockTotals d;
  alignas(64) float totals[kVectors * hn::MaxLanes(d)];
  nf4_totals<kVectors>(totals, x, weight, row, scales);
  for (int v = 0; v < kVectors; ++v) products[v] = lane_sum(d, totals + v * hn::Lanes(d)) * (1.0f / kLargestFixed);
}

// products[r] = row row + r times x, of kTileRows rows: one after the other, as they lie in memory, and summed over the
// lanes together.
HWY_INLINE void nf4_rows(float* products, const FixedVector& x, const WeightMatrix& weight, std::int64_t row,
                         const float* scales) {
  const BlockTotals d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  alignas(64) float totals[kTileRows * hn::MaxLanes(d)];
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    nf4_totals<1>(totals + r * lanes, &x, weight, row + r, scales + r * (weight.columns / kNf4Block));
  }
  for (std::int64_t r = 0; r < kTileRows; r += lanes) {
    hn::StoreU(hn::Mul(lane_sums(d, totals + r * lanes), hn::Set(d, 1.0f / kLargestFixed)), d, products + r);
  }
}

template <int kVectors>
HWY_INLINE void int8_row(float* products, const FixedVector* x, const WeightMatrix& weight, std::int64_t row) {
  const Fixed d16;
  const hn::Rebind<std::int8_t, Fixed> d8;
  const FixedSums d32;
  const FixedTotals d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d16));
  const auto* const codes = static_cast<const std::int8_t*>(weight.data) + row * weight.columns;
  hn::Vec<FixedTotals> totals[kVectors];
  for (int v = 0; v < kVectors; ++v) totals[v] = hn::Zero(d);
  std::int64_t begin = 0;
  for (; begin + kNf4Block <= weight.columns; begin += kNf4Block) {
    ask_for_codes(codes + begin);
    hn::Vec<FixedSums> sums[kVectors], carries[kVectors];
    for (int v = 0; v < kVectors; ++v) sums[v] = carries[v] = hn::Zero(d32);
    for (std::int64_t place = 0; place < kNf4Block; place += step) {
      const auto wide = hn::PromoteTo(d16, hn::LoadU(d8, codes + begin + place));
      for (int v = 0; v < kVectors; ++v) {
        add_products(wide, hn::LoadU(d16, x[v].fixed + begin + place), place, sums[v], carries[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      const auto scale = hn::Set(d, x[v].scales[begin / kNf4Block]);
      totals[v] = hn::MulAdd(block_sum(sums[v], carries[v]), scale, totals[v]);
    }
  }
  alignas(64) float total[hn::MaxLanes(d)];
  for (int v = 0; v < kVectors; ++v) {
    hn::Store(totals[v], d, total);
    float product = lane_sum(d, total);
    for (std::int64_t i = begin; i < weight.columns; ++i) product += static_cast<float>(codes[i]) * x[v].values[i];
    products[v] = product * weight.row_scales[row];
  }
}
#endif

template <typename T>
float dense_row(const FixedVector& x, const T* row) {
  const F32 d;
  const auto width = static_cast<std::int64_t>(hn::Lanes(d));
  constexpr std::int64_t kChain = 512;  // elements summed apart: rounding grows with the length of a chain
  constexpr std::int64_t kLine = 64 / sizeof(T), kFar = kAhead / sizeof(T);
  auto total = hn::Zero(d);
  std::int64_t i = 0;
  while (i + 4 * width <= x.count) {
    const std::int64_t end = std::min(x.count, i + kChain);
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    for (; i + 4 * width <= end; i += 4 * width) {
      for (std::int64_t line = 0; line < 4 * width; line += kLine) __builtin_prefetch(row + i + line + kFar);
      s0 = hn::MulAdd(load(d, row + i), hn::LoadU(d, x.values + i), s0);
      s1 = hn::MulAdd(load(d, row + i + width), hn::LoadU(d, x.values + i + width), s1);
      s2 = hn::MulAdd(load(d, row + i + 2 * width), hn::LoadU(d, x.values + i + 2 * width), s2);
      s3 = hn::MulAdd(load(d, row + i + 3 * width), hn::LoadU(d, x.values + i + 3 * width), s3);
    }
    total = hn::Add(total, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  const OneF32 one;
  for (; i < x.count; ++i) sum += hn::GetLane(load(one, row + i)) * x.values[i];
  return sum;
}

// Whether the kernels know the codes; other rows are expanded first.
bool reads_codes(const WeightMatrix& weight) {
  switch (weight.format) {
    case WeightFormat::kF32:
    case WeightFormat::kBF16:
    case WeightFormat::kF16:
      return true;
#if HWY_TARGET != HWY_SCALAR
    case WeightFormat::kNF4:
      return weight.columns % kNf4Block == 0;
    case WeightFormat::kInt8:
      return true;
#endif
    default:
      return false;
  }
}

// `prepared`: the scales of an NF4 row, a row of other codes that are not read in f32; null for those that are.
template <int kVectors>
void row_products(float* products, const FixedVector* x, const WeightMatrix& weight, std::int64_t row,
                  const float* prepared) {
  const std::int64_t begin = row * weight.columns;
  const auto dense = [&](auto* values) {
    for (int v = 0; v < kVectors; ++v) products[v] = dense_row(x[v], values);
  };
  switch (weight.format) {
    case WeightFormat::kF32:
      return dense(static_cast<const float*>(weight.data) + begin);
    case WeightFormat::kBF16:
      return dense(static_cast<const bf16*>(weight.data) + begin);
    case WeightFormat::kF16:
      return dense(static_cast<const f16*>(weight.data) + begin);
#if HWY_TARGET != HWY_SCALAR
    case WeightFormat::kNF4:
      if (!reads_codes(weight)) break;
      return nf4_row<kVectors>(products, x, weight, row, prepared);
    case WeightFormat::kInt8:
      return int8_row<kVectors>(products, x, weight, row);
#endif
    default:
      break;
  }
  dense(prepared);
}

// To consecutive places of y from `at` on.
void store_products(const TensorView& y, std::int64_t at, const float* products, std::int64_t count, bool accumulate) {
  if (y.dtype == DType::kF32) {
    float* const to = y.as<float>() + at;
    for (std::int64_t i = 0; i < count; ++i) to[i] = accumulate ? to[i] + products[i] : products[i];
  } else {
    bf16* const to = y.as<bf16>() + at;
    for (std::int64_t i = 0; i < count; ++i) {
      to[i] = to_bf16(accumulate ? to_float(to[i]) + products[i] : products[i]);
    }
  }
}

template <int kVectors>
void multiply_row(const TensorView& y, std::int64_t first, const FixedVector* x, const WeightMatrix& weight,
                  bool accumulate, std::int64_t row, const float* prepared) {
  float products[kVectors] = {};
  row_products<kVectors>(products, x, weight, row, prepared);
  for (int v = 0; v < kVectors; ++v) {
    store_products(y, (first + v) * weight.rows + row, products + v, 1, accumulate);
  }
}

#if HWY_TARGET != HWY_SCALAR
// Outputs [begin, end) of an NF4 weight for many vectors.
void multiply_tiles(const TensorView& y, std::span<const FixedVector> x, const WeightMatrix& weight, bool accumulate,
                    std::int64_t begin, std::int64_t end) {
  WeightTile tile;
  float products[kTileRows];
  for (std::int64_t row = begin; row < end; row += kTileRows) {
    const std::int64_t rows = std::min(kTileRows, end - row);
    add_all_blocks(tile, x, weight, row, rows);
    for (std::size_t v = 0; v < x.size(); ++v) {
      const auto vector = static_cast<std::int64_t>(v);
      finish_products(products, tile, vector);
      store_products(y, vector * weight.rows + row, products, rows, accumulate);
    }
  }
}
#endif

constexpr std::int64_t kPrepared = 2048;  // floats that are prepared at a time: 8 kB of L1

#if HWY_TARGET != HWY_SCALAR
// The scales of blocks [begin, begin + count).
void ask_for_scales(const WeightMatrix& weight, std::int64_t begin, std::int64_t count) {
  constexpr std::int64_t kLine = 64;
  const bool plain = weight.absmax != nullptr;
  const std::int64_t size = plain ? static_cast<std::int64_t>(sizeof(float)) : 1;
  const auto* const scales = plain ? reinterpret_cast<const std::uint8_t*>(weight.absmax) : weight.absmax_codes;
  for (std::int64_t at = begin * size; at < (begin + count) * size; at += kLine) __builtin_prefetch(scales + at);
}

// Outputs [begin, end) of an NF4 weight for one vector, kTileRows at a time; as many rows' scales fit into kPrepared. Those
// that come next are asked for a few at a time.
void multiply_nf4_rows(const TensorView& y, const FixedVector& x, const WeightMatrix& weight, bool accumulate,
                       std::int64_t begin, std::int64_t end) {
  const std::int64_t blocks = weight.columns / kNf4Block, step = kPrepared / blocks / kTileRows * kTileRows;
  float scales[kPrepared], products[kTileRows];
  for (std::int64_t first = begin; first < end; first += step) {
    const std::int64_t last = std::min(end, first + step);
    nf4_scales(scales, weight, first * blocks, (last - first) * blocks);
    std::int64_t row = first;
    for (; row + kTileRows <= last; row += kTileRows) {
      ask_for_scales(weight, (row + step) * blocks, kTileRows * blocks);
      nf4_rows(products, x, weight, row, scales + (row - first) * blocks);
      store_products(y, row, products, kTileRows, accumulate);
    }
    for (; row < last; ++row) multiply_row<1>(y, 0, &x, weight, accumulate, row, scales + (row - first) * blocks);
  }
}
#endif

// Outputs [begin, end) of all vectors: four share a row of the weight in registers, the rest find it in L1. What a row
// needs is prepared for several rows at a time, so that no load waits for the stores before it.
void multiply_outputs(const TensorView& y, std::span<const FixedVector> x, const WeightMatrix& weight, bool accumulate,
                      std::int64_t begin, std::int64_t end) {
  const std::int64_t count = std::ssize(x), blocks = weight.columns / kNf4Block;
  const bool codes = reads_codes(weight), scales = codes && weight.format == WeightFormat::kNF4;
#if HWY_TARGET != HWY_SCALAR
  constexpr std::int64_t kMany = 5;  // vectors that make it worth widening codes once
  if (scales && count >= kMany) return multiply_tiles(y, x, weight, accumulate, begin, end);
  if (scales && count == 1 && blocks * kTileRows <= kPrepared)
    return multiply_nf4_rows(y, x[0], weight, accumulate, begin, end);
#endif
  const std::int64_t length = scales ? blocks : codes ? 0 : weight.columns;  // floats that a row needs
  const std::int64_t step = length == 0 ? end - begin : std::clamp<std::int64_t>(kPrepared / length, 1, end - begin);
  std::vector<float> prepared(static_cast<std::size_t>(length * step));
  for (std::int64_t first = begin; first < end; first += step) {
    const std::int64_t last = std::min(end, first + step);
    if (scales) nf4_scales(prepared.data(), weight, first * blocks, (last - first) * blocks);
    for (std::int64_t row = first; row < last; ++row) {
      float* const at = prepared.data() + (row - first) * length;
      if (!codes) decode_span(at, weight, row, 0, weight.columns);
      std::int64_t v = 0;
      for (; v + 4 <= count; v += 4) multiply_row<4>(y, v, x.data() + v, weight, accumulate, row, at);
      if (v + 2 <= count) {
        multiply_row<2>(y, v, x.data() + v, weight, accumulate, row, at);
        v += 2;
      }
      if (v < count) multiply_row<1>(y, v, x.data() + v, weight, accumulate, row, at);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(prepare_vector);
HWY_EXPORT(multiply_outputs);

namespace {

// Parts of some 16 kB, so that no thread is done long before another. Small weights have eight parts all the
// same, of as many rows as are multiplied side by side.
std::int64_t outputs_per_part(const WeightMatrix& weight) {
  constexpr std::int64_t kBytes = 1 << 14, kParts = 8, kTogether = 16;
  const std::int64_t row_bytes = static_cast<std::int64_t>(weight.bytes()) / weight.rows;
  const std::int64_t outputs = std::min(kBytes / std::max<std::int64_t>(1, row_bytes), weight.rows / kParts);
  return std::max<std::int64_t>(1, outputs / kTogether) * kTogether;
}

void multiply_together(const TensorView& y, const TensorView& x, const WeightMatrix& weight, bool accumulate) {
  const std::int64_t rows = x.rows(), count = weight.columns, blocks = (count + kNf4Block - 1) / kNf4Block;
  const bool fixed = weight.format == WeightFormat::kNF4 || weight.format == WeightFormat::kInt8;
  std::vector<FixedVector> vectors(static_cast<std::size_t>(rows));
  const std::int64_t floats = (count + blocks + (blocks + 1) / 2 * kNf4Block + 15) / 16 * 16;
  float* const memory = thread_scratch(static_cast<std::size_t>(rows * floats));
  parallel_ranges(rows, 1, [&](std::int64_t r, std::int64_t) {
    float* const memory_of_row = memory + r * floats;
    FixedVector& vector = vectors[static_cast<std::size_t>(r)];
    vector = {memory_of_row, reinterpret_cast<std::int16_t*>(memory_of_row + count + blocks), memory_of_row + count,
              count};
    if (x.dtype == DType::kF32) {
      vector.values = x.as<float>() + r * count;
    } else {
      for (std::int64_t i = 0; i < count; ++i) memory_of_row[i] = to_float(x.as<bf16>()[r * count + i]);
    }
    if (!fixed) return;
    HWY_DYNAMIC_DISPATCH(prepare_vector)(vector, weight.format == WeightFormat::kNF4);
  });
  parallel_streams(weight.rows, outputs_per_part(weight), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(multiply_outputs)(y, vectors, weight, accumulate, begin, end);
  });
}

}  // namespace

void multiply_vectors(TensorView y, TensorView x, const WeightMatrix& weight, bool accumulate) {
  const char* where = "multiply_vectors";
  require_activations(where, {x});
  const std::int64_t rows = x.rows();
  require(y.rows() == rows && y.elements() == rows * weight.rows && x.elements() == rows * weight.columns, where,
          "y [N, outputs], x [N, inputs]");
  for (std::int64_t first = 0; first < rows; first += kVectorsTogether) {
    const std::int64_t count = std::min(kVectorsTogether, rows - first);
    multiply_together(y.slice_rows(first, count), x.slice_rows(first, count), weight, accumulate);
  }
}

}  // namespace attune
#endif  // HWY_ONCE
