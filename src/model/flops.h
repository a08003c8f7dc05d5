// The necessary floating-point work of a pass: the numerator of the speed-of-light figure (SOL). Recomputation, padding
// and expansion of quantized weights are not necessary work and do not count.
#pragma once

#include <cstdint>
#include <span>

#include "model/activations.h"

namespace attune {

struct Work {
  double forward = 0, backward = 0;
  double total() const { return forward + backward; }
};

// Of one pass over sequences [sequence_starts]: 2 FLOP per weight and token forward and 2 backward to the inputs (frozen
// weights have no weight gradient; 2 more with full training), the adapters' 2 forward and 4 backward, attention's two
// products forward and four backward over the pairs really attended, and the head on `supervised_tokens` alone.
Work necessary_work(const ModelConfig& config, const LoraRanks& ranks, bool full_training,
                    std::span<const std::int32_t> sequence_starts, std::int64_t supervised_tokens);

}  // namespace attune
