// Causal grouped-query attention over packed sequences, tiled so that no T x T matrix exists
// (Dao et al., "FlashAttention", 2022; backward from the saved log-sum-exp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace attune {

struct AttentionParams {
  float scale = 1.0f;               // usually 1/sqrt(D)
  std::int64_t sliding_window = 0;  // 0: none; w: token t sees t-w+1 .. t of its own sequence
};

// out, q [N, H, D] act; k, v [N, K, D] act; log_sum_exp [H, N] f32. Sequence s is the tokens
// [sequence_starts[s], sequence_starts[s+1]); the first start is 0 and the last entry is N. A token sees
// itself and earlier tokens of its own sequence only: work is proportional to what is attended. out must not
// alias an input.
void attention_forward(TensorView out, TensorView log_sum_exp, TensorView q, TensorView k, TensorView v,
                       std::span<const std::int32_t> sequence_starts, const AttentionParams& params);

// Overwrites dq [N, H, D], dk, dv [N, K, D] (act); none may alias an input. Inputs as in the forward pass, out and
// log_sum_exp its results. `delta` [H, N] f32 is scratch. Results do not depend on the thread count.
void attention_backward(TensorView dq, TensorView dk, TensorView dv, TensorView dout, TensorView q, TensorView k,
                        TensorView v, TensorView out, TensorView log_sum_exp, TensorView delta,
                        std::span<const std::int32_t> sequence_starts, const AttentionParams& params);

// What each thread keeps of the two (ops/scratch.h), in bytes.
std::size_t attention_scratch_bytes(std::int64_t head_size);

// One new token per sequence against a cache (generation). out, q [H, D]; cached keys and values [capacity,
// K, D] act, of which `length` are valid (the new token's own included); with a sliding window only the last
// ones are read.
void attention_decode(TensorView out, TensorView q, TensorView cached_keys, TensorView cached_values,
                      std::int64_t length, const AttentionParams& params);

}  // namespace attune
