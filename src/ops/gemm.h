// The f32 product of processors whose widest vectors have 8 lanes or fewer (AVX2, NEON). The right operand is expanded from its storage format straight into the layout of the register tile (Goto and van de
// Geijn, "Anatomy of high-performance matrix multiplication", 2008), so quantized weights are never written out.
#pragma once

#include <cstdint>
#include <span>

#include "ops/matmul.h"
#include "quant/weight.h"

namespace attune {

// The right operand [L, N] of a product, times `factor`: a dense matrix (f32 or bf16) or a weight in any format.
// Element (l, n) is stored at (n, l) when `transposed`, as the weight of a linear layer is in its forward product.
struct RightOperand {
  WeightMatrix weight;
  std::int64_t stride = 0;  // elements between stored rows of a dense matrix
  bool transposed = false;
  float factor = 1.0f;

  static RightOperand of(const Matrix& dense, bool transposed, float factor = 1.0f);
  static RightOperand of(const WeightMatrix& weight, bool transposed);
  bool is_quantized() const { return weight.format == WeightFormat::kNF4 || weight.format == WeightFormat::kInt8; }
  std::int64_t length() const { return transposed ? weight.columns : weight.rows; }
  std::int64_t columns() const { return transposed ? weight.rows : weight.columns; }
};

struct GemmTerm {
  Matrix a;  // f32 [M, L], or stored as [L, M] when a_transposed
  bool a_transposed = false;
  RightOperand b;
};

// c [M, N] f32 = (plus c when accumulate) the sum over terms of a b. Terms run through the same register tiles: a
// low-rank term beside a large one costs its arithmetic alone. Every element is summed in an order that depends on the
// terms' shapes only, so results do not depend on the thread count. c must not overlap an operand.
// `workspace`, when not empty, is f32 or of any other type, and is shared out among the threads as packing space.
void gemm(const Matrix& c, std::span<const GemmTerm> terms, bool accumulate, TensorView workspace = {});

// Whether matmul and linear use gemm instead of oneDNN: the vectors that would run have at most 8 lanes.
bool gemm_is_fastest();

}  // namespace attune
