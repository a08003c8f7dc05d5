// Kullback-Leibler divergence of two distributions over a vocabulary, given by their logits.
#pragma once

#include "tensor/tensor.h"

namespace attune {

// divergences [n] f32 = KL(softmax(base) || softmax(logits)) of each row, in nats. base [n, V] f32 is overwritten with
// weight * (softmax(logits) - softmax(base)), the gradient of weight * divergence with respect to logits [n, V] f32, which
// stay as they are.
void divergence(TensorView divergences, TensorView base, TensorView logits, float weight);

}  // namespace attune
