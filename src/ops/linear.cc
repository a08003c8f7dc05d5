#include "ops/linear.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "ops/bf16_gemm.h"
#include "ops/gemm.h"
#include "ops/int8_gemm.h"
#include "ops/matvec.h"
#include "ops/op_time.h"

namespace attune {
namespace {

bool stored_as(const WeightMatrix& weight, DType act) {
  return (weight.format == WeightFormat::kF32 && act == DType::kF32) ||
         (weight.format == WeightFormat::kBF16 && act == DType::kBF16);
}

// Calls product(first row, the rows as a matrix of type act) for tiles that cover the weight.
template <typename F>
void for_each_tile(const WeightMatrix& weight, DType act, TensorView tile, F product) {
  if (stored_as(weight, act)) {
    product(std::int64_t{0}, Matrix(const_cast<void*>(weight.data), act, weight.rows, weight.columns, weight.columns));
    return;
  }
  const std::int64_t tile_rows = std::min(weight.rows, tile.elements() / weight.columns);
  if (tile_rows == 0 || tile.dtype != act) {
    throw InternalError("[linear] scratch of {} {} holds no row of {} {}", tile.elements(), name_of(tile.dtype),
                        weight.columns, name_of(act));
  }
  constexpr std::int64_t kRowsPerTask = 8;
  for (std::int64_t begin = 0; begin < weight.rows; begin += tile_rows) {
    const std::int64_t count = std::min(tile_rows, weight.rows - begin);
    const TensorView decoded{tile.data, act, {count, weight.columns}};
#pragma omp parallel for schedule(static)
    for (std::int64_t task = 0; task < (count + kRowsPerTask - 1) / kRowsPerTask; ++task) {
      const std::int64_t first = task * kRowsPerTask;
      decode_rows(decoded.slice_rows(first, std::min(kRowsPerTask, count - first)), weight, begin + first);
    }
    product(begin, Matrix(decoded));
  }
}

// Whether the product of this type packs the stored weight as it goes, without a tile of expanded rows.
bool packs_weight_itself(const WeightMatrix& weight, DType act) {
  return linear_takes_low_rank(act) || (weight.int8_products && act == DType::kF32);
}

// c = (or +=) a times the weight (`transposed` in the forward product) plus the low-rank product, both through one pass
// over c.
void multiply(TensorView c, const Matrix& a, const WeightMatrix& weight, bool transposed, bool accumulate,
              const LowRankTerm* low_rank, TensorView tile) {
  std::array<GemmTerm, 2> terms;
  std::size_t count = 0;
  const bool int8 = weight.int8_products && a.dtype == DType::kF32;  // the low-rank product stays in f32
  if (int8) {
    (transposed ? int8_forward : int8_backward_input)(c, a, weight, accumulate, tile);
  } else {
    terms[count++] = {a, false, RightOperand::of(weight, transposed)};
  }
  if (low_rank != nullptr)
    terms[count++] = {low_rank->hidden, false, RightOperand::of(low_rank->factor, transposed, low_rank->scale)};
  if (a.dtype == DType::kBF16) return bf16_gemm(c, std::span(terms).first(count), accumulate, tile);
  if (count > 0) gemm(c, std::span(terms).first(count), accumulate || int8, tile);
}

template <typename T>
void add_bias(T* y, std::int64_t tokens, std::int64_t outputs, const float* bias) {
#pragma omp parallel for schedule(static)
  for (std::int64_t t = 0; t < tokens; ++t) {
    T* const row = y + t * outputs;
    for (std::int64_t j = 0; j < outputs; ++j) {
      if constexpr (std::is_same_v<T, float>)
        row[j] += bias[j];
      else
        row[j] = to_bf16(to_float(row[j]) + bias[j]);
    }
  }
}

template <typename T>
void add_column_sums(float* sums, const Matrix& matrix) {
  const T* const dy = static_cast<const T*>(matrix.data);
  const std::int64_t tokens = matrix.rows, outputs = matrix.columns;
  constexpr std::int64_t kColumns = 64;  // a task owns its columns, so the order of the sum is that of the tokens
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < outputs; begin += kColumns) {
    const std::int64_t end = std::min(begin + kColumns, outputs);
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t j = begin; j < end; ++j) {
        if constexpr (std::is_same_v<T, float>)
          sums[j] += dy[t * matrix.stride + j];
        else
          sums[j] += to_float(dy[t * matrix.stride + j]);
      }
    }
  }
}

}  // namespace

bool linear_takes_low_rank(DType act) { return act == DType::kF32 ? gemm_is_fastest() : has_fast_bf16(); }

void linear_forward(TensorView y, TensorView x, const WeightMatrix& weight, TensorView bias, TensorView tile,
                    GradientMode mode, const LowRankTerm* low_rank) {
  const OpTimer timer(OpFamily::kLinears);
  const bool accumulate = mode == GradientMode::kAccumulate;
  if (x.rows() == 1 && low_rank == nullptr) {
    multiply_vectors(y, x, weight, accumulate);
  } else if (packs_weight_itself(weight, x.dtype)) {
    multiply(y, x, weight, true, accumulate, low_rank, tile);
  } else {
    for_each_tile(weight, x.dtype, tile, [&](std::int64_t begin, const Matrix& rows) {
      matmul_bt(Matrix(y).column_block(begin, rows.rows), x, rows, 1.0f, accumulate);
    });
  }
  if (bias.empty()) return;
  if (y.dtype == DType::kF32) {
    add_bias(y.as<float>(), y.rows(), y.columns(), bias.as<float>());
  } else {
    add_bias(y.as<bf16>(), y.rows(), y.columns(), bias.as<float>());
  }
}

void linear_backward_input(TensorView dx, GradientMode mode, const Matrix& dy, const WeightMatrix& weight,
                           TensorView tile, const LowRankTerm* low_rank) {
  const OpTimer timer(OpFamily::kLinears);
  const bool add = mode == GradientMode::kAccumulate;
  if (packs_weight_itself(weight, dy.dtype)) return multiply(dx, dy, weight, false, add, low_rank, tile);
  for_each_tile(weight, dy.dtype, tile, [&](std::int64_t begin, const Matrix& rows) {
    matmul(dx, dy.column_block(begin, rows.rows), rows, 1.0f, add || begin > 0);
  });
}

void linear_backward_weight(TensorView dweight, TensorView dbias, const Matrix& dy, TensorView x) {
  const OpTimer timer(OpFamily::kLinears);
  if (!dweight.empty()) matmul_at(dweight, dy, x, 1.0f, true);
  if (dbias.empty()) return;
  if (dy.dtype == DType::kF32) {
    add_column_sums<float>(dbias.as<float>(), dy);
  } else {
    add_column_sums<bf16>(dbias.as<float>(), dy);
  }
}

}  // namespace attune
