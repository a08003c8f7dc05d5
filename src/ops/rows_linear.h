// Linear layers for generation, where many sequences share a pass but none may feel the others: every row of the result
// is a sum in one fixed order, whatever rows stand beside it.
#pragma once

#include <cstdint>
#include <span>

#include "ops/matmul.h"
#include "ops/rms_norm.h"
#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

// Rows [first, first + count) of a pass.
struct RowRange {
  std::int64_t first = 0, count = 0;
};

// y [N, outputs] = (or +=) scale * x [N, inputs] w^T for w [outputs, inputs]; x f32 or bf16, w f32, bf16 or f16, y of
// x's type or f32. Row n of y is a function of row n of x and of w alone: the same bits for every N and thread count.
// Bound by reading w once up to about 16 of them.
void rows_matmul_bt(TensorView y, TensorView x, TensorView w, float scale = 1.0f,
                    GradientMode mode = GradientMode::kOverwrite);

// A linear layer over the rows of a pass: first `single_rows` rows, each a function of its own alone, then `blocks`, each a
// function of its own rows and their count. Rows of NF4 and int8 all go through multiply_vectors. Of other weights the
// single rows go through multiply_vectors, or rows_matmul_bt where it is in floating point, and each block is one product
// of oneDNN; a tile of the weight is expanded once for all of them. Rows outside are left as they are. Arguments as in
// linear_forward().
void rows_linear(TensorView y, TensorView x, const WeightMatrix& weight, TensorView bias, TensorView tile,
                 std::int64_t single_rows, std::span<const RowRange> blocks,
                 GradientMode mode = GradientMode::kOverwrite);

}  // namespace attune
