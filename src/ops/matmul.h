// Matrix products, f32 or bf16 with f32 accumulation.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace attune {

// A row-major matrix whose rows may lie `stride` elements apart (a block of columns of a wider one). Not owning.
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0, columns = 0, stride = 0;

  Matrix() = default;
  Matrix(void* data, DType dtype, std::int64_t rows, std::int64_t columns, std::int64_t stride)
      : data(data), dtype(dtype), rows(rows), columns(columns), stride(stride) {}
  Matrix(const TensorView& view)  // NOLINT(google-explicit-constructor): a view is a matrix
      : data(view.data), dtype(view.dtype), rows(view.rows()), columns(view.columns()), stride(view.columns()) {}

  Matrix column_block(std::int64_t begin, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(begin) * size_of(dtype), dtype, rows, count,
            stride};
  }
  Matrix row_block(std::int64_t begin, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(begin * stride) * size_of(dtype), dtype, count,
            columns, stride};
  }
};

// Whether this processor multiplies bf16 faster than f32 (ops/bf16_tile.h); where not, `compute: auto` means f32.
bool has_fast_bf16();

// c = alpha * a * b, plus c when accumulate (or with a, b transposed as the name says):
//   matmul      a [M, L]  b [L, N]
//   matmul_bt   a [M, L]  b [N, L]   (a linear layer: activations times weights)
//   matmul_at   a [L, M]  b [L, N]   (a weight gradient: outputs' gradient times inputs)
// a f32: b and c f32. a bf16: b bf16, or f32 that is rounded as it is read, c bf16 or f32; where the processor has no bf16
// the product is computed in f32 from the same rounded inputs. Same shapes and thread count give the same bits. c must not
// overlap a or b.
void matmul(const Matrix& c, const Matrix& a, const Matrix& b, float alpha = 1.0f, bool accumulate = false);
void matmul_bt(const Matrix& c, const Matrix& a, const Matrix& b, float alpha = 1.0f, bool accumulate = false);
void matmul_at(const Matrix& c, const Matrix& a, const Matrix& b, float alpha = 1.0f, bool accumulate = false);

// matmul_bt by oneDNN, a, b and c of one type, for the measure of the machine's peak.
void matmul_bt_onednn(const Matrix& c, const Matrix& a, const Matrix& b);

// Keeps oneDNN from instructions wider than AVX2, if no product has run yet.
void limit_onednn_to_avx2();

// Floating-point operations that matmul has done in this process so far (2 M N L each); for SOL.
double matmul_flops_done();

}  // namespace attune
