// Linear layers in 8-bit integers: activations rounded with one scale for each row and 512 summands, weights with one for
// each output row; sums exact in i32, added up in f32. For processors without 8-bit dot products the codes are widened to
// 16 bits, pairs of which AVX2 multiplies and adds in one instruction.
#pragma once

#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

// y [N, outputs] = (or +=) x W^T, all activations f32. `workspace` is scratch as in gemm.
void int8_forward(TensorView y, TensorView x, const WeightMatrix& weight, bool accumulate, TensorView workspace);

// dx [N, inputs] = (or +=) dy W. The weights' scales belong to the summands here, so dy is multiplied by them before it is
// rounded.
void int8_backward_input(TensorView dx, TensorView dy, const WeightMatrix& weight, bool accumulate,
                         TensorView workspace);

// The scale of each row: the largest magnitude over 127 (for NF4 the largest block scale, for int8 the stored one). One
// thread per part of the rows; scales has weight.rows elements.
void int8_row_scales(float* scales, const WeightMatrix& weight);

}  // namespace attune
