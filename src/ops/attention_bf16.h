// Attention over bf16 where the processor multiplies tiles of it (ops/bf16_tile.h): scores and sums are f32;
// probabilities and gradients of scores are rounded to bf16 before the products that take them.
#pragma once

#include "ops/attention_blocks.h"

namespace attune {

// Whether the functions below serve tensors of this type here.
bool multiplies_bf16_tiles(DType type);

// As attention_forward and attention_backward after their checks.
void attention_forward_bf16(const TensorView& out, float* log_sum_exp, const TensorView& q, const TensorView& k,
                            const TensorView& v, const AttentionShape& shape);
void attention_backward_bf16(const AttentionGradients& g, const AttentionShape& shape);

// What each thread keeps of the two, in bytes.
std::size_t attention_bf16_scratch_bytes(std::int64_t head_size);

}  // namespace attune
