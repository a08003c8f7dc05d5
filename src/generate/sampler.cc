#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace attune {

Sampler::Sampler(const SamplerOptions& options) : options_(options), rng_{options.seed, 0x5A3Bu, 0} {
  if (!(options.temperature >= 0)) throw UserError("[temperature] expected 0 or more, got {}", options.temperature);
  if (options.top_k < 0) throw UserError("[top-k] expected 0 (off) or more, got {}", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1)) throw UserError("[top-p] expected a value above 0, at most 1, got {}", options.top_p);
  if (!(options.min_p >= 0 && options.min_p < 1)) throw UserError("[min-p] expected a value from 0, below 1, got {}", options.min_p);
}

std::int32_t Sampler::sample(std::span<const float> logits) {
  const auto greater = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  if (options_.temperature == 0) {
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::size_t kept = logits.size();
  if (options_.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options_.top_k));
  std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(kept), order_.end(), greater);

  const double highest = logits[static_cast<std::size_t>(order_[0])];
  probabilities_.resize(kept);
  double sum = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    probabilities_[i] = std::exp((logits[static_cast<std::size_t>(order_[i])] - highest) / options_.temperature);
    sum += probabilities_[i];
  }
  if (options_.top_p < 1) {
    double cumulative = 0;
    std::size_t nucleus = 0;
    while (nucleus < kept && cumulative < options_.top_p * sum) cumulative += probabilities_[nucleus++];
    kept = std::max<std::size_t>(nucleus, 1);
  }
  if (options_.min_p > 0) {   // the largest weight is exp(0) = 1
    while (kept > 1 && probabilities_[kept - 1] < options_.min_p) --kept;
  }
  sum = std::accumulate(probabilities_.begin(), probabilities_.begin() + static_cast<std::ptrdiff_t>(kept), 0.0);
  double point = rng_.uniform() * sum;
  for (std::size_t i = 0; i < kept; ++i) {
    point -= probabilities_[i];
    if (point < 0) return order_[i];
  }
  return order_[kept - 1];
}

}  // namespace attune
