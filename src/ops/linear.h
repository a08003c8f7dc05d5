// The frozen (or trained) linear layer y = x W^T + bias over a weight in any storage format.
//
// A weight that is not stored in the activations' type is expanded a tile of rows at a time into scratch, once per
// use, and multiplied from there; so a 4-bit base costs its expansion, never a second copy of the weights.
#pragma once

#include "ops/matmul.h"
#include "ops/rms_norm.h"
#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

// Scratch for one tile: any whole number of rows of the widest weight, in the activations' type. A larger tile means
// fewer, larger products; kTileRows is where the products of this size reach their full speed.
inline constexpr std::int64_t kTileRows = 512;

// A second, low-rank product that joins the first in one pass over the result, times scale: forward, hidden [N, R] act
// times the transposed `factor` [outputs, R] f32; backward, the hidden gradient times `factor` [R, inputs].
struct LowRankTerm {
  TensorView hidden, factor;
  float scale = 1.0f;
};

// Whether products of this type take a LowRankTerm; elsewhere lora.cc makes a product of its own.
bool linear_takes_low_rank(DType act);

// y [N, outputs] (act, or f32), x [N, inputs] act, bias [outputs] f32 or empty. `tile` is scratch: act, one dimension.
void linear_forward(TensorView y, TensorView x, const WeightMatrix& weight, TensorView bias, TensorView tile,
                    GradientMode mode = GradientMode::kOverwrite, const LowRankTerm* low_rank = nullptr);

// dx [N, inputs] act = (or +=) dy W; dy [N, outputs] act.
void linear_backward_input(TensorView dx, GradientMode mode, const Matrix& dy, const WeightMatrix& weight,
                           TensorView tile, const LowRankTerm* low_rank = nullptr);

// dweight [outputs, inputs] f32 += dy^T x; dbias [outputs] f32 += column sums of dy. Empty views are skipped.
void linear_backward_weight(TensorView dweight, TensorView dbias, const Matrix& dy, TensorView x);

}  // namespace attune
