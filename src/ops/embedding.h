// Token embedding: a row of the table per token.
#pragma once

#include "tensor/tensor.h"

namespace attune {

// out [N, C] act; ids [N] i32, every id in [0, V); table [V, C] f32, bf16 or f16.
void embedding_forward(TensorView out, TensorView ids, TensorView table);

// dtable [V, C] f32 accumulates dout [N, C] act; the order of the sum does not depend on the thread count.
void embedding_backward(TensorView dtable, TensorView dout, TensorView ids);

}  // namespace attune
