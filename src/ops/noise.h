// Random elements that are a pure function of (seed, stream, element index): dropout and NEFTune noise. The backward
// pass draws the same mask again instead of storing it.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace attune {

struct NoiseKey {
  std::uint64_t seed, stream;
  std::uint64_t first = 0;  // index of the tensor's first element, a multiple of 4: a part of a larger tensor
};

// out = x * mask / (1 - probability), mask_i = 1 with probability 1 - `probability` (inverted dropout). out, x act of
// equal size; out may be x. The same key gives the same mask, so this is also the backward pass.
void dropout(TensorView out, TensorView x, float probability, NoiseKey key);

// x [N, C] act += uniform(-1, 1) * magnitude (Jain et al., "NEFTune", 2023; the caller computes alpha / sqrt(L * C)).
void add_uniform_noise(TensorView x, float magnitude, NoiseKey key);

// out += x, both act of equal size.
void add(TensorView out, TensorView x);

}  // namespace attune
