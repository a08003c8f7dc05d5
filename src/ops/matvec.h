// A few tokens through a linear layer: every weight is read once, so the kernels work on the stored codes and never expand
// them to f32; for one token the bound is the memory's bandwidth.
#pragma once

#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

// y [N, outputs] (f32 or bf16) = (or +=) x W^T, x [N, inputs] f32 or bf16, which y must not overlap. The codes of NF4 and
// int8 meet x as fixed-point numbers of 14 bits and a scale for each 64 inputs: an error of at most 2^-14 of the largest of
// them per product, less than bf16's. Other codes are expanded a row at a time. Row n of y is a function of row n of x and
// of the weight alone: the same bits for every N and thread count.
void multiply_vectors(TensorView y, TensorView x, const WeightMatrix& weight, bool accumulate);

}  // namespace attune
