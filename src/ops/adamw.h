// AdamW (Loshchilov & Hutter, 2019), as torch.optim.AdamW computes it, and the global gradient norm.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace attune {

struct AdamWParams {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  std::int64_t step;     // 1 for the first update: the bias correction's exponent
  float gradient_scale;  // multiplies the gradient first (1 / supervised tokens, and the clipping factor)
};

// The same with everything that all elements share worked out:
// p = p * decay - step_size * m / (sqrt(v) * root_correction + epsilon).
struct AdamWFactors {
  float decay;                    // 1 - learning_rate * weight_decay
  float keep_first, add_first;    // beta1, 1 - beta1
  float keep_second, add_second;  // beta2, 1 - beta2
  float step_size;                // learning_rate / (1 - beta1^step)
  float root_correction;          // 1 / sqrt(1 - beta2^step)
  float epsilon, gradient_scale;
};
AdamWFactors adamw_factors(const AdamWParams& params);

// parameter, gradient, first_moment, second_moment: f32 of equal size. gradient is left as it is.
void adamw_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                const AdamWParams& params);

// Sum of squares in f64, in an order that does not depend on the thread count.
double sum_of_squares(TensorView x);

}  // namespace attune
