// Choosing the next token from its logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"

namespace attune {

struct SamplerOptions {
  double temperature = 0.7;   // 0: the most likely token, always
  std::int64_t top_k = 0;     // 0: off
  double top_p = 1.0;         // nucleus (Holtzman et al., 2020); 1: off
  double min_p = 0.0;         // relative to the most likely token's probability; 0: off
  std::uint64_t seed = 0;
};

// The filters apply in transformers' order: temperature, top-k, top-p, min-p; the most likely token always remains.
// Equal logits are ordered by id, so a seed means the same text everywhere.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);   // UserError for values out of range
  std::int32_t sample(std::span<const float> logits);

 private:
  SamplerOptions options_;
  Rng rng_;
  std::vector<std::int32_t> order_;                  // reused from token to token
  std::vector<double> probabilities_;
};

}  // namespace attune
