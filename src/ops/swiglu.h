// SwiGLU (Shazeer, 2020): out = silu(gate) * up, silu(z) = z / (1 + exp(-z)).
#pragma once

#include "tensor/tensor.h"

namespace attune {

// out, gate, up [N, F] act. out may be gate or up when no backward follows.
void swiglu_forward(TensorView out, TensorView gate, TensorView up);

// dgate, dup, dout, gate, up [N, F] act; dgate may be gate, dup may be up or dout.
void swiglu_backward(TensorView dgate, TensorView dup, TensorView dout, TensorView gate, TensorView up);

}  // namespace attune
