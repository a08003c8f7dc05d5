// Root-mean-square normalization (Zhang & Sennrich, 2019): out = x / sqrt(mean(x^2) + eps) * weight.
#pragma once

#include "tensor/tensor.h"

namespace attune {

// out [N, C] act, inv_rms [N] f32, x [N, C] act, weight [C] f32. out may be x itself only when no backward follows.
// For the per-head norm of Qwen3 pass q as [N*H, D].
void rms_norm_forward(TensorView out, TensorView inv_rms, TensorView x, TensorView weight, float eps);

enum class GradientMode { kOverwrite, kAccumulate };

// dx [N, C] act: overwritten or accumulated into as `mode` says (the residual stream accumulates); dx may be dout.
// dweight [C] f32 accumulates; an empty view skips it. The order of dweight's sum does not depend on the thread count.
void rms_norm_backward(TensorView dx, GradientMode mode, TensorView dweight, TensorView dout, TensorView x,
                       TensorView weight, TensorView inv_rms);

}  // namespace attune
