// AdamW whose moments take 2 or 1 byte an element instead of 4: bf16 with stochastic rounding, or 8-bit codes with a scale
// per block (Dettmers et al., "8-bit optimizers via block-wise quantization", 2021, arXiv:2110.02861). Arithmetic is that
// of ops/adamw.h in f32; only what is stored between two steps is rounded. Results do not depend on the thread count.
#pragma once

#include "ops/adamw.h"
#include "ops/noise.h"

namespace attune {

inline constexpr std::int64_t kMomentBlock = 256;  // elements that share a scale, as in bitsandbytes
inline std::int64_t moment_blocks(std::int64_t elements) { return (elements + kMomentBlock - 1) / kMomentBlock; }

// first_moment, second_moment bf16; parameter, gradient f32, all of equal size. A moment is rounded up or down with the
// probability that keeps its expectation: to the nearest would freeze a second moment that changes by a thousandth a
// step. `key` names the random words and must differ from step to step.
void adamw_bf16_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                     const AdamWParams& params, NoiseKey key);

// first_moment, second_moment u8 codes of dynamic_map() and unsigned_dynamic_map(), as large as parameter; the scales f32
// [moment_blocks]. Where all are zero the state is that of a first step. A second moment above zero never becomes zero,
// which would make the next step explode.
void adamw_8bit_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                     TensorView first_scales, TensorView second_scales, const AdamWParams& params);

}  // namespace attune
