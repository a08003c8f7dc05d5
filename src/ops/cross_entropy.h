// Softmax and cross-entropy over rows of logits, forward and backward in one pass over memory.
#pragma once

#include "tensor/tensor.h"

namespace attune {

// logits [n, V] f32, overwritten with the gradient softmax(logits) - onehot(target) of the summed loss; targets [n]
// i32, each in [0, V); losses [n] f32 receives -log softmax(logits)[target]. dlogits, [n, V] act, receives the
// gradient as well when it is not empty (the bf16 input of the products that follow).
void cross_entropy(TensorView losses, TensorView logits, TensorView dlogits, TensorView targets);

}  // namespace attune
