// Rotary position embedding (Su et al., 2021) in the half-split form of Hugging Face: element i turns with i + D/2.
#pragma once

#include "tensor/tensor.h"

namespace attune {

// Turns x [N, heads, D] act in place. positions [N] i32; cosines and sines [max_position, D/2] f32.
void rope_forward(TensorView x, TensorView positions, TensorView cosines, TensorView sines);

// The inverse turn: the gradient with respect to the input, in place.
void rope_backward(TensorView dx, TensorView positions, TensorView cosines, TensorView sines);

}  // namespace attune
