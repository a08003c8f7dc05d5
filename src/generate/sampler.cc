#include "generate/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace attune {
namespace {

// Tokens so unlikely (e^-60) add nothing to a sum of doubles.
constexpr double kNegligible = -60.0;
constexpr std::array<double, 4> kBands = {0.02, 1e-4, 1e-8, 0.0};  // relative to the likeliest token

// 64 bins to each factor of two, the likeliest first: the exponent and the upper bits of the fraction, counted down from
// the weight 1.
constexpr int kBinBits = 52 - 6;
constexpr std::uint64_t kFirstBin = std::bit_cast<std::uint64_t>(1.0) >> kBinBits;
constexpr std::size_t kBins = 88 * 64;  // 2^-87 is below e^-60

std::size_t bin_of(double weight) {
  return std::min<std::size_t>(kFirstBin - (std::bit_cast<std::uint64_t>(weight) >> kBinBits), kBins - 1);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options, const Penalties& penalties)
    : options_(options), penalties_(penalties), rng_{options.seed, 0x5A3Bu, 0} {
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    throw UserError("[temperature] expected 0 or more, got {}", options.temperature);
  }
  if (options.top_k < 0) throw UserError("[top-k] expected 0 (off) or more, got {}", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1))
    throw UserError("[top-p] expected a value above 0, at most 1, got {}", options.top_p);
  if (!(options.min_p >= 0 && options.min_p < 1))
    throw UserError("[min-p] expected a value from 0, below 1, got {}", options.min_p);
}

std::int32_t Sampler::sample(std::span<const float> logits) {
  if (!penalties_.any()) return draw(logits);
  penalized_.assign(logits.begin(), logits.end());
  for (const auto& [token, count] : chosen_) {
    penalized_[static_cast<std::size_t>(token)] -=
        static_cast<float>(penalties_.presence + penalties_.frequency * static_cast<double>(count));
  }
  const std::int32_t token = draw(penalized_);
  ++chosen_[token];
  return token;
}

bool Sampler::likelier(std::int32_t a, std::int32_t b) const {
  const double x = weights_[static_cast<std::size_t>(a)], y = weights_[static_cast<std::size_t>(b)];
  return x > y || (x == y && a < b);
}

// Makes order_ begin with at least `count` of the likeliest tokens, likeliest first. A token is seldom looked for far
// down, so the vocabulary is sorted band by band of likelihood, and mostly the first band is short and enough.
void Sampler::sort_until(std::size_t count) {
  while (order_.size() < count && band_ < kBands.size()) {
    const double high = band_ == 0 ? std::numeric_limits<double>::infinity() : kBands[band_ - 1], low = kBands[band_];
    const auto sorted = static_cast<std::ptrdiff_t>(order_.size());
    for (std::size_t token = 0; token < weights_.size(); ++token) {
      if (weights_[token] >= low && weights_[token] < high) order_.push_back(static_cast<std::int32_t>(token));
    }
    std::sort(order_.begin() + sorted, order_.end(), [this](auto a, auto b) { return likelier(a, b); });
    ++band_;
  }
}

// The token at which the weights of all, added likeliest first, pass `point`. Only those that share its bin of likelihood
// are sorted.
std::int32_t Sampler::token_at(double point) {
  bins_.assign(kBins, 0.0);
  for (const double weight : weights_) {
    if (weight > 0) bins_[bin_of(weight)] += weight;
  }
  std::size_t bin = 0;
  while (bin + 1 < kBins && point >= bins_[bin]) point -= bins_[bin++];
  order_.clear();
  for (std::size_t token = 0; token < weights_.size(); ++token) {
    if (weights_[token] > 0 && bin_of(weights_[token]) == bin) order_.push_back(static_cast<std::int32_t>(token));
  }
  std::sort(order_.begin(), order_.end(), [this](auto a, auto b) { return likelier(a, b); });
  for (const std::int32_t token : order_) {
    point -= weights_[static_cast<std::size_t>(token)];
    if (point < 0) return token;
  }
  // Rounding alone leads here.
  return static_cast<std::int32_t>(std::max_element(weights_.begin(), weights_.end()) - weights_.begin());
}

std::int32_t Sampler::draw(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  if (options_.temperature == 0) return static_cast<std::int32_t>(best - logits.begin());
  const double highest = *best;
  weights_.resize(logits.size());
  for (std::size_t token = 0; token < logits.size(); ++token) {
    const double exponent = (logits[token] - highest) / options_.temperature;
    weights_[token] = exponent >= kNegligible ? std::exp(exponent) : 0.0;  // 0 for what is no number, too
  }
  order_.clear();
  band_ = 0;
  const auto weight_of_rank = [&](std::size_t rank) {
    sort_until(rank + 1);
    return weights_[static_cast<std::size_t>(order_[rank])];
  };

  if (options_.top_k == 0 && options_.top_p == 1 && options_.min_p == 0) {
    return token_at(rng_.uniform() * std::accumulate(weights_.begin(), weights_.end(), 0.0));
  }
  std::size_t kept = logits.size();
  double sum = 0;
  if (options_.top_k > 0) {
    kept = std::min(kept, static_cast<std::size_t>(options_.top_k));
    for (std::size_t rank = 0; rank < kept; ++rank) sum += weight_of_rank(rank);
  } else {
    sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  }
  if (options_.top_p < 1) {
    double cumulative = 0;
    std::size_t nucleus = 0;
    while (nucleus < kept && cumulative < options_.top_p * sum) cumulative += weight_of_rank(nucleus++);
    kept = std::max<std::size_t>(nucleus, 1);
    sum = cumulative;
  }
  if (options_.min_p > 0) {  // the largest weight is exp(0) = 1
    std::size_t likely = 1;
    double cumulative = weight_of_rank(0);
    for (; likely < kept; ++likely) {
      const double next = weight_of_rank(likely);
      if (next < options_.min_p) break;
      cumulative += next;
    }
    kept = likely;
    sum = cumulative;
  }
  double point = rng_.uniform() * sum;
  for (std::size_t rank = 0; rank < kept; ++rank) {
    point -= weight_of_rank(rank);
    if (point < 0) return order_[rank];
  }
  // Rounding alone leads here.
  sort_until(kept);
  return order_[kept - 1];
}

}  // namespace attune
