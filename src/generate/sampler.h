// Choosing the next token from its logits.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/rng.h"

namespace attune {

struct SamplerOptions {
  double temperature = 0.7;  // 0: the most likely token, always
  std::int64_t top_k = 0;    // 0: off
  double top_p = 1.0;        // nucleus (Holtzman et al., 2020); 1: off
  double min_p = 0.0;        // relative to the most likely token's probability; 0: off
  std::uint64_t seed = 0;
};

// Taken from the logit of every token of the answer so far, as OpenAI defines them: `presence` once, `frequency` for
// each time it was chosen.
struct Penalties {
  double frequency = 0.0, presence = 0.0;
  bool any() const { return frequency != 0 || presence != 0; }
};

// The filters apply in transformers' order: temperature, top-k, top-p, min-p; the most likely token always remains.
// Equal logits are ordered by id, so a seed means the same text everywhere.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options,
                   const Penalties& penalties = {});  // UserError for values out of range
  std::int32_t sample(std::span<const float> logits);

 private:
  std::int32_t draw(std::span<const float> logits);
  bool likelier(std::int32_t a, std::int32_t b) const;
  void sort_until(std::size_t count);
  std::int32_t token_at(double point);

  SamplerOptions options_;
  Penalties penalties_;
  Rng rng_;
  std::unordered_map<std::int32_t, std::int64_t> chosen_;  // counts, when there are penalties
  std::vector<float> penalized_;                           // these and the following: reused from token to token
  std::vector<std::int32_t> order_;
  std::vector<double> weights_;  // of each token, that of the likeliest is 1
  std::vector<double> bins_;     // weights by likelihood
  std::size_t band_ = 0;         // so many bands of likelihood are in order_
};

}  // namespace attune
