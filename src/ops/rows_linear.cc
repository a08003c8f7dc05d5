// The product of few rows. A block of rows and outputs is held in registers; each pair has one accumulator, which runs
// through the inputs in order, so that the shape of the block does not show in the result.
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
#endif

namespace HWY_NAMESPACE {
namespace {

// `w` points to the weights of `output`; those of the following outputs lie behind it.
template <int kRows, int kOutputs, typename Y, typename X, typename W>
HWY_INLINE void block(const RowsProduct& p, std::int64_t row, std::int64_t output, const W* w) {
  const F32 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t inputs = p.x.columns();
  const X* const x = p.x.as<X>() + row * inputs;
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
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) {
      const OneF32 one;
      auto sum = hn::Set(one, hn::GetLane(hn::SumOfLanes(d, sums[r][o])));
      for (std::int64_t j = i; j < inputs; ++j) {
        sum = hn::MulAdd(load(one, x + r * inputs + j), load(one, w + o * inputs + j), sum);
      }
      Y* const y = p.y.as<Y>() + (row + r) * p.y_stride + output + o;
      const auto scale = hn::Set(one, p.scale);
      store(one, p.accumulate ? hn::MulAdd(scale, sum, load(one, y)) : hn::Mul(scale, sum), y);
    }
  }
}

// All rows for eight outputs. Four rows share the two weight rows they meet; what is left over goes through blocks that
// keep as many sums in flight, for the latency of the additions.
template <typename Y, typename X, typename W>
void eight_outputs(const RowsProduct& p, std::int64_t output, const W* w) {
  const std::int64_t rows = p.x.rows(), inputs = p.x.columns();
  std::int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    for (int o = 0; o < 8; o += 2) block<4, 2, Y, X>(p, row, output + o, w + o * inputs);
  }
  if (row + 2 <= rows) {
    for (int o = 0; o < 8; o += 4) block<2, 4, Y, X>(p, row, output + o, w + o * inputs);
    row += 2;
  }
  if (row < rows) block<1, 8, Y, X>(p, row, output, w);
}

template <typename Y, typename X, typename W>
void outputs_as(const RowsProduct& p, std::int64_t begin, std::int64_t end) {
  const std::int64_t rows = p.x.rows(), inputs = p.x.columns();
  constexpr std::int64_t kWiden = 8;  // rows that make it worth widening weights once rather than in every block
  const bool widen = !std::is_same_v<W, float> && rows >= kWiden;
  float* const wide = widen ? thread_scratch(static_cast<std::size_t>(8 * inputs)) : nullptr;
  std::int64_t output = begin;
  for (; output + 8 <= end; output += 8) {
    const W* const w = p.w.as<W>() + output * inputs;
    if (widen) {
      for_lanes(0, 8 * inputs, [&](auto d, std::int64_t i) HWY_ATTR { store(d, load(d, w + i), wide + i); });
      eight_outputs<Y, X>(p, output, static_cast<const float*>(wide));
    } else {
      eight_outputs<Y, X>(p, output, w);
    }
  }
  for (; output < end; ++output) {
    for (std::int64_t row = 0; row < rows; ++row) block<1, 1, Y, X>(p, row, output, p.w.as<W>() + output * inputs);
  }
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
  const std::int64_t grain = p.x.rows() * p.x.columns() * outputs < kSmall ? outputs : 64;
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
void add_bias(TensorView y, RowRange range, const float* bias) {
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
  // Codes are read as they are by single rows; only blocks need them expanded.
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
  if (bias.empty()) return;
  const auto add = [&](RowRange range) {
    if (y.dtype == DType::kF32) {
      add_bias<float>(y, range, bias.as<float>());
    } else {
      add_bias<bf16>(y, range, bias.as<float>());
    }
  };
  add({0, single_rows});
  for (const RowRange& range : blocks) add(range);
}

}  // namespace attune
#endif  // HWY_ONCE
