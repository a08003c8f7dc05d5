// The low-rank pair beside a linear layer (Hu et al., 2021): y += scale * dropout(x) A^T B^T.
#pragma once

#include "ops/linear.h"
#include "ops/noise.h"
#include "tensor/tensor.h"

namespace attune {

struct LoraParams {
  float scale = 1.0f;
  float dropout = 0.0f;  // probability; 0 in evaluation
  NoiseKey key{0, 0};    // names the mask; the backward pass takes the same
};

// In all of these `dropped` [N, inputs] act is scratch, used only with dropout; A and B are rounded to act as they are read.

// y [N, outputs] act accumulates; hidden [N, R] act receives dropout(x) A^T; a [R, inputs], b [outputs, R] f32.
void lora_forward(TensorView y, TensorView hidden, TensorView x, TensorView a, TensorView b, const LoraParams& params,
                  TensorView dropped);

// The hidden product alone, when the layer's output is not needed again (recomputation).
void lora_hidden(TensorView hidden, TensorView x, TensorView a, const LoraParams& params, TensorView dropped);

// dhidden [N, R] act receives scale * dy B; da [R, inputs] and db [outputs, R] f32 accumulate (empty: skipped).
void lora_backward_pair(TensorView dhidden, TensorView da, TensorView db, TensorView dy, TensorView x,
                        TensorView hidden, TensorView b, const LoraParams& params, TensorView dropped);

// dx [N, inputs] act accumulates dropout(dhidden A).
void lora_backward_input(TensorView dx, TensorView dhidden, TensorView a, const LoraParams& params, TensorView dropped);

// A linear layer with its pair, in as few passes over its large operands as the processor's product allows:
// y = (or +=) x W^T + bias + the pair, as linear_forward and lora_forward define them.
void lora_linear_forward(TensorView y, TensorView hidden, TensorView x, const WeightMatrix& weight, TensorView bias,
                         TensorView tile, GradientMode mode, TensorView a, TensorView b, const LoraParams& params,
                         TensorView dropped);

// The same of dx = (or +=) dy W + dhidden A, as linear_backward_input and lora_backward_input define them without
// dropout.
void lora_linear_backward_input(TensorView dx, GradientMode mode, TensorView dy, const WeightMatrix& weight,
                                TensorView tile, TensorView dhidden, TensorView a, TensorView dropped);

}  // namespace attune
