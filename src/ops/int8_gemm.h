// Linear layers in 8-bit integers where no tiles multiply them (ops/bf16_gemm.h does there): activations rounded with one scale for each row and 512 summands, weights with one for
// each output row; sums exact in i32, added up in f32. AVX2 multiplies unsigned bytes by signed ones and adds two
// neighbours in 16 bits, so the activations' codes are moved up to be unsigned, and the two sides share 13 bits.
#pragma once

#include <cstdint>

#include "ops/matmul.h"
#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

inline constexpr std::int64_t kInt8Block = 512;  // summands that share an activation's scale

// The largest codes of activations and weights. Two products of codes up to twice the activations' fit into 16 bits; of
// the pairs that do, equal ones lose least. Weights stored in 8 bits keep their codes.
struct CodeLevels {
  std::int32_t activations, weights;
};
constexpr CodeLevels code_levels(WeightFormat format) {
  return format == WeightFormat::kInt8 ? CodeLevels{63, 127} : CodeLevels{90, 91};
}

// y [N, outputs] = (or +=) x W^T, all activations f32. `workspace` is scratch as in gemm.
void int8_forward(TensorView y, const Matrix& x, const WeightMatrix& weight, bool accumulate, TensorView workspace);

// dx [N, inputs] = (or +=) dy W. The weights' scales belong to the summands here, so dy is multiplied by them before it is
// rounded.
void int8_backward_input(TensorView dx, const Matrix& dy, const WeightMatrix& weight, bool accumulate,
                         TensorView workspace);

// The scale of each row: the largest magnitude over the largest code (for NF4 the largest block scale, for int8 the
// stored one). By all threads; scales has weight.rows elements.
void int8_row_scales(float* scales, const WeightMatrix& weight, std::int32_t largest_code);

}  // namespace attune
