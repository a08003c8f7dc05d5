// One token through a linear layer: every weight is read once, so the kernels work on the stored codes and never expand them
// to f32; the bound is the memory's bandwidth.
#pragma once

#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

// y [1, outputs] (f32 or bf16) = (or +=) x W^T, x [1, inputs] f32 or bf16. NF4 rows must be whole blocks of 64; false, and
// nothing done, where they are not. The codes of NF4 and int8 meet x as fixed-point numbers of 14 bits and a scale for
// each 64 inputs: an error of at most 2^-14 of the largest of them per product, less than bf16's. Does not depend on the
// thread count.
bool multiply_vector(TensorView y, TensorView x, const WeightMatrix& weight, bool accumulate);

}  // namespace attune
