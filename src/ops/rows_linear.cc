// The product of single rows. A block of rows and outputs is held in registers; each pair has one accumulator, which runs
// through the inputs in order, so that neither the shape of the block nor where it pauses shows in the result.
#include "ops/rows_linear.h"

#include <algorithm>

#include "ops/check.h"
#include "ops/matvec.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rows_linear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/lane_sums-inl.h"
#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_ROWS_LINEAR
#define ATTUNE_OPS_ROWS_LINEAR
// One call: y = (or +=) scale * x w^T for the outputs [begin, end).
struct RowsProduct {
  TensorView y, x, w;
  std::int64_t y_stride;
  float scale;
  bool accumulate;
};

constexpr std::int64_t kManyRows = 16;  // from here on reading the weight is not what takes the time
#endif

namespace HWY_NAMESPACE {
namespace {

// Ends the products of a row with `count` outputs: `sums`, a vector for each, hold what the accumulators have of the inputs
// before `from`.
template <typename Y, typename X, typename W>
HWY_INLINE void finish(const RowsProduct& p, std::int64_t row, std::int64_t output, std::int64_t count,
                       const float* sums, std::int64_t from) {
  const F32 d;
  const OneF32 one;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t inputs = p.x.columns();
  const X* const x = p.x.as<X>() + row * inputs;
  Y* const y = p.y.as<Y>() + row * p.y_stride + output;
  const auto add_rest = [&](float sum, std::int64_t o) HWY_ATTR {
    const W* const w = p.w.as<W>() + (output + o) * inputs;
    auto total = hn::Set(one, sum);
    for (std::int64_t i = from; i < inputs; ++i) total = hn::MulAdd(load(one, x + i), load(one, w + i), total);
    return hn::GetLane(total);
  };
  const auto put = [&](auto lanes, auto total, std::int64_t o) HWY_ATTR {
    const auto scale = hn::Set(lanes, p.scale);
    store(lanes, p.accumulate ? hn::MulAdd(scale, total, load(lanes, y + o)) : hn::Mul(scale, total), y + o);
  };
  std::int64_t o = 0;
  for (; o + step <= count; o += step) {
    auto totals = lane_sums(d, sums + o * step);
    if (from < inputs) {
      HWY_ALIGN float each[hn::MaxLanes(d)];
      hn::Store(totals, d, each);
      for (std::int64_t i = 0; i < step; ++i) each[i] = add_rest(each[i], o + i);
      totals = hn::Load(d, each);
    }
    put(d, totals, o);
  }
  for (; o < count; ++o) put(one, hn::Set(one, add_rest(lane_sum(d, sums + o * step), o)), o);
}

template <int kRows, int kOutputs, typename Y, typename X, typename W>
HWY_INLINE void block(const RowsProduct& p, std::int64_t row, std::int64_t output) {
  const F32 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t inputs = p.x.columns();
  const X* const x = p.x.as<X>() + row * inputs;
  const W* const w = p.w.as<W>() + output * inputs;
  hn::Vec<F32> sums[kRows][kOutputs];
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) sums[r][o] = hn::Zero(d);
  }
  std::int64_t i = 0;
  for (; i + step <= inputs; i += step) {
    hn::Vec<F32> weights[kOutputs];
    for (int o = 0; o < kOutputs; ++o) weights[o] = load(d, w + o * inputs + i);
    for (int r = 0; r < kRows; ++r) {
      const auto values = load(d, x + r * inputs + i);
      for (int o = 0; o < kOutputs; ++o) sums[r][o] = hn::MulAdd(values, weights[o], sums[r][o]);
    }
  }
  HWY_ALIGN float stored[kOutputs * hn::MaxLanes(d)];
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) hn::Store(sums[r][o], d, stored + o * step);
    finish<Y, X, W>(p, row + r, output, kOutputs, stored, i);
  }
}

constexpr std::int64_t kShort = 64;  // inputs; below, ending the sums takes longer than making them

// Few rows: the weight is read once. Four rows share the two weight rows they meet; what is left over goes through blocks
// that keep as many sums in flight, for the latency of the additions. So do all rows of short sums, which then end together.
template <typename Y, typename X, typename W>
void few_rows(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  const std::int64_t rows = p.x.rows(), shared = p.x.columns() < kShort ? 0 : rows;
  std::int64_t output = begin;
  for (; output + 8 <= end; output += 8) {
    std::int64_t row = 0;
    for (; row + 4 <= shared; row += 4) {
      for (int o = 0; o < 8; o += 2) block<4, 2, Y, X, W>(p, row, output + o);
    }
    if (row + 2 <= shared) {
      for (int o = 0; o < 8; o += 4) block<2, 4, Y, X, W>(p, row, output + o);
      row += 2;
    }
    for (; row < rows; ++row) block<1, 8, Y, X, W>(p, row, output);
  }
  for (; output < end; ++output) {
    for (std::int64_t row = 0; row < rows; ++row) block<1, 1, Y, X, W>(p, row, output);
  }
}

// A tile of the weight is 12 kB, three of the eight ways of L1: rows of x 4 kB apart take four at one place. The sums of
// two tiles wait together.
constexpr std::int64_t kTileOutputs = 12, kTileInputs = 256, kSumOutputs = 2 * kTileOutputs;

// Carries the sums of kRows rows and kOutputs outputs over the inputs of a tile. `sums` [kRows, kSumOutputs] vectors.
template <int kRows, int kOutputs, typename X>
HWY_INLINE void add_tile(float* HWY_RESTRICT sums, const X* x, std::int64_t x_stride, const float* tile,
                         std::int64_t count) {
  const F32 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<F32> totals[kRows][kOutputs];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) totals[r][o] = hn::LoadU(d, sums + (r * kSumOutputs + o) * step);
  }
  for (std::int64_t i = 0; i < count; i += step) {
    hn::Vec<F32> weights[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) weights[o] = hn::LoadU(d, tile + o * kTileInputs + i);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const auto values = load(d, x + r * x_stride + i);
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; ++o) totals[r][o] = hn::MulAdd(values, weights[o], totals[r][o]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; ++o) hn::StoreU(totals[r][o], d, sums + (r * kSumOutputs + o) * step);
  }
}

template <int kRows, typename X>
void add_tile_rows(float* sums, const X* x, std::int64_t x_stride, const float* tile, std::int64_t outputs,
                   std::int64_t count) {
  const auto step = static_cast<std::int64_t>(hn::Lanes(F32()));
  std::int64_t o = 0;
  for (; o + 3 <= outputs; o += 3) add_tile<kRows, 3>(sums + o * step, x, x_stride, tile + o * kTileInputs, count);
  for (; o < outputs; ++o) add_tile<kRows, 1>(sums + o * step, x, x_stride, tile + o * kTileInputs, count);
}

template <typename X>
void add_tile_products(float* sums, const X* x, std::int64_t rows, std::int64_t inputs, const float* tile,
                       std::int64_t outputs, std::int64_t count) {
  const std::int64_t row_sums = kSumOutputs * static_cast<std::int64_t>(hn::Lanes(F32()));
  std::int64_t row = 0;
  for (; row + 4 <= rows; row += 4)
    add_tile_rows<4>(sums + row * row_sums, x + row * inputs, inputs, tile, outputs, count);
  if (row + 2 <= rows) {
    add_tile_rows<2>(sums + row * row_sums, x + row * inputs, inputs, tile, outputs, count);
    row += 2;
  }
  if (row < rows) add_tile_rows<1>(sums + row * row_sums, x + row * inputs, inputs, tile, outputs, count);
}

// Many rows: a tile of the weight is widened once and stays in L1 while the rows pass by, their sums waiting in memory.
template <typename Y, typename X, typename W>
void many_rows(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  const F32 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t rows = p.x.rows(), inputs = p.x.columns(), whole = inputs / step * step;
  const std::int64_t sum_count = rows * kSumOutputs * step;
  float* const tile = thread_scratch(static_cast<std::size_t>(kTileOutputs * kTileInputs + sum_count));
  float* const sums = tile + kTileOutputs * kTileInputs;
  for (std::int64_t first = begin; first < end; first += kSumOutputs) {
    const std::int64_t last = std::min(end, first + kSumOutputs);
    std::fill(sums, sums + sum_count, 0.0f);
    for (std::int64_t i = 0; i < whole; i += kTileInputs) {
      const std::int64_t count = std::min(kTileInputs, whole - i);
      for (std::int64_t output = first; output < last; output += kTileOutputs) {
        const std::int64_t outputs = std::min(kTileOutputs, last - output);
        for (std::int64_t o = 0; o < outputs; ++o) {
          const W* const w = p.w.as<W>() + (output + o) * inputs + i;
          float* const to = tile + o * kTileInputs;
          for_lanes(0, count, [&](auto lanes, std::int64_t j) HWY_ATTR { store(lanes, load(lanes, w + j), to + j); });
        }
        add_tile_products(sums + (output - first) * step, p.x.as<X>() + i, rows, inputs, tile, outputs, count);
      }
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      finish<Y, X, W>(p, row, first, last - first, sums + row * kSumOutputs * step, whole);
    }
  }
}

template <typename Y, typename X, typename W>
void outputs_as(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  if (p.x.rows() < kManyRows || p.x.columns() < kShort) return few_rows<Y, X, W>(p, begin, end);
  many_rows<Y, X, W>(p, begin, end);
}

template <typename Y, typename X>
void weights_as(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  switch (p.w.dtype) {
    case DType::kF32:
      return outputs_as<Y, X, float>(p, begin, end);
    case DType::kBF16:
      return outputs_as<Y, X, bf16>(p, begin, end);
    default:
      return outputs_as<Y, X, f16>(p, begin, end);
  }
}

void rows_outputs(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  if (p.x.dtype == DType::kF32) return weights_as<float, float>(p, begin, end);
  if (p.y.dtype == DType::kF32) return weights_as<float, bf16>(p, begin, end);
  weights_as<bf16, bf16>(p, begin, end);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(rows_outputs);

namespace {

void multiply(const RowsProduct& p) {
  const std::int64_t outputs = p.w.rows();
  // Outputs a task; a multiple of the register blocks. What takes some ten microseconds is done before a second thread
  // has begun.
  constexpr std::int64_t kSmall = 1 << 18;
  const std::int64_t task = p.x.rows() < kManyRows ? 64 : outputs < 64 ? 8 : 48;
  const std::int64_t grain = p.x.rows() * p.x.columns() * outputs < kSmall ? outputs : task;
  parallel_ranges(outputs, grain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(rows_outputs)(p, begin, end);
  });
}

// The weight as a tensor, when it can be read as it is stored.
TensorView plain_view(const WeightMatrix& weight) {
  const DType type = weight.format == WeightFormat::kF32    ? DType::kF32
                     : weight.format == WeightFormat::kBF16 ? DType::kBF16
                                                            : DType::kF16;
  return {const_cast<void*>(weight.data), type, {weight.rows, weight.columns}};
}

bool is_plain(const WeightMatrix& weight) {
  return weight.format == WeightFormat::kF32 || weight.format == WeightFormat::kBF16 ||
         weight.format == WeightFormat::kF16;
}

template <typename T>
void add_bias_to(TensorView y, RowRange range, const float* bias) {
  const std::int64_t outputs = y.columns();
  for (std::int64_t row = range.first; row < range.first + range.count; ++row) {
    T* const to = y.as<T>() + row * outputs;
    for (std::int64_t j = 0; j < outputs; ++j) {
      if constexpr (std::is_same_v<T, float>) {
        to[j] += bias[j];
      } else {
        to[j] = to_bf16(to_float(to[j]) + bias[j]);
      }
    }
  }
}

void add_bias(TensorView y, TensorView bias, std::int64_t single_rows, std::span<const RowRange> blocks) {
  if (bias.empty()) return;
  const auto add = [&](RowRange range) {
    if (y.dtype == DType::kF32) {
      add_bias_to<float>(y, range, bias.as<float>());
    } else {
      add_bias_to<bf16>(y, range, bias.as<float>());
    }
  };
  add({0, single_rows});
  for (const RowRange& range : blocks) add(range);
}

void decode_tile(TensorView tile, const WeightMatrix& weight, std::int64_t begin) {
  constexpr std::int64_t kGrain = 8;
  parallel_ranges(tile.rows(), kGrain, [&](std::int64_t first, std::int64_t last) {
    decode_rows(tile.slice_rows(first, last - first), weight, begin + first);
  });
}

}  // namespace

void rows_matmul_bt(TensorView y, TensorView x, TensorView w, float scale, GradientMode mode) {
  const char* where = "rows_matmul_bt";
  require_activations(where, {x});
  require(y.dtype == x.dtype || y.dtype == DType::kF32, where, "y of x's type or f32");
  require(w.dtype == DType::kF32 || w.dtype == DType::kBF16 || w.dtype == DType::kF16, where, "w in floating point");
  require(x.columns() == w.columns() && y.rows() == x.rows() && y.columns() == w.rows(), where, "y = x w^T");
  multiply({y, x, w, y.columns(), scale, mode == GradientMode::kAccumulate});
}

void rows_linear(TensorView y, TensorView x, const WeightMatrix& weight, TensorView bias, TensorView tile,
                 std::int64_t single_rows, std::span<const RowRange> blocks, GradientMode mode) {
  const char* where = "rows_linear";
  require_activations(where, {x});
  require(x.columns() == weight.columns && y.columns() == weight.rows && x.rows() == y.rows(), where, "y = x W^T");
  const bool accumulate = mode == GradientMode::kAccumulate;
  if (weight.format == WeightFormat::kNF4 || weight.format == WeightFormat::kInt8) {
    // Ranges that touch are one product: no row feels it.
    RowRange rows{0, single_rows};
    const auto multiply_rows = [&] {
      if (rows.count == 0) return;
      multiply_vectors(y.slice_rows(rows.first, rows.count), x.slice_rows(rows.first, rows.count), weight, accumulate);
    };
    for (const RowRange& range : blocks) {
      if (range.first == rows.first + rows.count) {
        rows.count += range.count;
        continue;
      }
      multiply_rows();
      rows = range;
    }
    multiply_rows();
    return add_bias(y, bias, single_rows, blocks);
  }
  // Other codes are read as they are by single rows; only blocks need them expanded.
  if (!is_plain(weight) && single_rows > 0) {
    multiply_vectors(y.slice_rows(0, single_rows), x.slice_rows(0, single_rows), weight, accumulate);
  }
  const std::int64_t tiled_rows = is_plain(weight) ? single_rows : 0;
  const bool as_stored = is_plain(weight) && (blocks.empty() || plain_view(weight).dtype == x.dtype);
  const std::int64_t tiled = tiled_rows > 0 || !blocks.empty() ? weight.rows : 0;
  const std::int64_t tile_rows = as_stored ? weight.rows : std::min(weight.rows, tile.elements() / weight.columns);
  require(tiled == 0 || as_stored || (tile_rows > 0 && tile.dtype == x.dtype), where,
          "room for a row of the weight in the tile");
  for (std::int64_t begin = 0; begin < tiled; begin += tile_rows) {
    const std::int64_t count = std::min(tile_rows, weight.rows - begin);
    const TensorView rows = as_stored ? plain_view(weight) : TensorView{tile.data, x.dtype, {count, weight.columns}};
    if (!as_stored) decode_tile(rows, weight, begin);
    if (tiled_rows > 0) {
      TensorView part = y.slice_rows(0, tiled_rows);
      part.data = static_cast<std::byte*>(part.data) + static_cast<std::size_t>(begin) * size_of(y.dtype);
      multiply({part, x.slice_rows(0, tiled_rows), rows, y.columns(), 1.0f, accumulate});
    }
    for (const RowRange& range : blocks) {
      matmul_bt(Matrix(y.slice_rows(range.first, range.count)).column_block(begin, count),
                x.slice_rows(range.first, range.count), rows, 1.0f, accumulate);
    }
  }
  add_bias(y, bias, single_rows, blocks);
}

}  // namespace attune
#endif  // HWY_ONCE
