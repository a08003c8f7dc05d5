// Softmax and cross-entropy over rows of logits.
#pragma once

#include "ops/matmul.h"
#include "tensor/tensor.h"

namespace attune {

// losses [n] f32 = -log softmax(logits)[target] of each row; logits [n, V] f32, targets [n] i32, each in [0, V). What the
// logits are afterwards is not said.
void cross_entropy_forward(TensorView losses, TensorView logits, TensorView targets);

// The matrix of `type` whose rows begin where those of `rows`, f32, do: their memory used for numbers that are no longer.
Matrix in_rows_of(TensorView rows, DType type);

// The same as forward, and softmax(logits) - onehot(target), the gradient of the summed loss, rounded to `type` (f32 or
// bf16). It takes the logits' memory, in_rows_of(logits, type), so that there is never more than the one large matrix.
Matrix cross_entropy_backward(TensorView losses, TensorView logits, TensorView targets, DType type);

}  // namespace attune
