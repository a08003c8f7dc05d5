// The sampler draws from the distribution its options describe, and the same seed gives the same tokens.
#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace attune {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, -1.0f, 3.0f};

std::map<std::int32_t, double> frequencies(const SamplerOptions& options, int draws = 40000) {
  Sampler sampler(options);
  std::map<std::int32_t, double> seen;
  for (int i = 0; i < draws; ++i) seen[sampler.sample(kLogits)] += 1.0 / draws;
  return seen;
}

TEST(Sampler, ZeroTemperatureTakesTheFirstLargest) { EXPECT_EQ(Sampler({.temperature = 0}).sample(kLogits), 1); }

TEST(Sampler, DrawsTheSoftmaxAtItsTemperature) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double sum = 0;
    for (const float x : kLogits) sum += std::exp(x / temperature);
    const auto seen = frequencies({.temperature = temperature, .seed = 3});
    for (std::int32_t i = 0; i < 5; ++i) {
      const double expected = std::exp(kLogits[static_cast<std::size_t>(i)] / temperature) / sum;
      EXPECT_NEAR(seen.contains(i) ? seen.at(i) : 0.0, expected, 0.012) << "token " << i << " at " << temperature;
    }
  }
}

TEST(Sampler, FiltersKeepWhatTransformersKeeps) {
  // Probabilities at temperature 1: token 1 and 4: 0.397 each, 2: 0.146, 0: 0.054, 3: 0.007.
  const auto kept = [](const SamplerOptions& options) {
    std::vector<std::int32_t> tokens;
    for (const auto& [token, share] : frequencies(options)) tokens.push_back(token);
    return tokens;
  };
  EXPECT_EQ(kept({.temperature = 1, .top_k = 3}), (std::vector<std::int32_t>{1, 2, 4}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.79}), (std::vector<std::int32_t>{1, 4}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.81}), (std::vector<std::int32_t>{1, 2, 4}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.01}), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(kept({.temperature = 1, .min_p = 0.2}), (std::vector<std::int32_t>{1, 2, 4}));
  EXPECT_EQ(kept({.temperature = 1, .min_p = 0.5}), (std::vector<std::int32_t>{1, 4}));
}

TEST(Sampler, SeedDecidesTheDraws) {
  Sampler a({.temperature = 1, .seed = 9}), b({.temperature = 1, .seed = 9}), c({.temperature = 1, .seed = 10});
  std::vector<std::int32_t> from_a, from_b, from_c;
  for (int i = 0; i < 100; ++i) {
    from_a.push_back(a.sample(kLogits));
    from_b.push_back(b.sample(kLogits));
    from_c.push_back(c.sample(kLogits));
  }
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_c);
}

TEST(Sampler, ManyEquallyLikelyTokensAreAllReached) {
  const std::vector<float> flat(5000, 1.5f);
  Sampler sampler({.temperature = 1, .top_p = 0.999, .seed = 4});
  std::int32_t lowest = 5000, highest = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::int32_t token = sampler.sample(flat);
    lowest = std::min(lowest, token);
    highest = std::max(highest, token);
  }
  EXPECT_LT(lowest, 50);
  EXPECT_GT(highest, 4900);
  EXPECT_LE(highest, 4995);  // the nucleus
}

// The definition, by a full sort: likeliest first, the token at which a uniform number's share of the weights is used up.
TEST(Sampler, FindsTheTokenWithoutSortingAsSortingWould) {
  constexpr std::uint64_t kSeed = 7;
  Rng source{.seed = 1, .stream = 2};
  for (const double spread : {0.0, 0.3, 3.0, 20.0}) {
    std::vector<float> logits(3000);
    for (float& logit : logits) logit = static_cast<float>(spread * source.normal());
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto logit_of = [&](std::int32_t token) { return logits[static_cast<std::size_t>(token)]; };
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logit_of(a) > logit_of(b); });
    const auto weight_of = [&](std::int32_t token) {
      return std::exp((static_cast<double>(logit_of(token)) - logit_of(order[0])) / 0.8);
    };
    double sum = 0;
    for (const std::int32_t token : order) sum += weight_of(token);
    Sampler sampler({.temperature = 0.8, .seed = kSeed});
    Rng rng{kSeed, 0x5A3Bu, 0};
    for (int i = 0; i < 300; ++i) {
      double point = rng.uniform() * sum;
      std::size_t rank = 0;
      while (rank + 1 < order.size() && (point -= weight_of(order[rank])) >= 0) ++rank;
      EXPECT_EQ(sampler.sample(logits), order[rank]) << "draw " << i << " at " << spread;
    }
  }
}

TEST(Sampler, SurvivesLogitsThatAreNoNumbers) {
  const float nan = std::nanf("");
  for (const std::vector<float>& logits : {std::vector<float>{nan, nan, nan}, {1.0f, nan, 2.0f}, {nan, 2.0f, 1.0f}}) {
    for (const double top_p : {1.0, 0.5}) {
      Sampler sampler({.temperature = 1, .top_p = top_p});
      for (int i = 0; i < 50; ++i) {
        const std::int32_t token = sampler.sample(logits);
        EXPECT_TRUE(token >= 0 && token < 3);
      }
    }
  }
}

TEST(Sampler, RefusesSenselessOptions) {
  EXPECT_THROW(Sampler({.temperature = -1}), UserError);
  EXPECT_THROW(Sampler({.top_p = 0}), UserError);
  EXPECT_THROW(Sampler({.min_p = 1}), UserError);
}

}  // namespace
}  // namespace attune
