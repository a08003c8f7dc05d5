// The divergence against its definition in f64, and its gradient against central differences of that definition.
#include "ops/divergence.h"

#include "ops/test_support.h"

namespace attune {
namespace {

double definition(const Doubles& base, const Doubles& logits) {
  const auto log_softmax = [](const Doubles& x) {
    const double highest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const double value : x) sum += std::exp(value - highest);
    Doubles result;
    for (const double value : x) result.push_back(value - highest - std::log(sum));
    return result;
  };
  const Doubles p = log_softmax(base), q = log_softmax(logits);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  return sum;
}

TEST(Divergence, MatchesTheDefinitionAndItsDifferences) {
  for_each_target([] {
    for (const std::int64_t columns : {1, 2, 7, 8, 17, 172, 4099}) {
      const auto count = static_cast<std::size_t>(columns);
      Stored base(DType::kF32, {2, columns}, random_normal(2 * count, 1, 3.0));
      Stored logits(DType::kF32, {2, columns}, random_normal(2 * count, 2, 3.0)), got(DType::kF32, {2});
      const Doubles x = base.values(), y = logits.values();
      constexpr float kWeight = 0.5f;
      divergence(got.view(), base.view(), logits.view(), kWeight);
      EXPECT_EQ(logits.values(), y);
      for (std::size_t row = 0; row < 2; ++row) {
        const auto begin = static_cast<std::ptrdiff_t>(row * count), end = begin + columns;
        const Doubles p(x.begin() + begin, x.begin() + end), q(y.begin() + begin, y.begin() + end);
        EXPECT_NEAR(got.values()[row], definition(p, q), 2e-5 * (1 + definition(p, q))) << columns;
        for (const std::size_t i : {std::size_t{0}, count / 2, count - 1}) {
          constexpr double kStep = 1e-4;
          Doubles up = q, down = q;
          up[i] += kStep, down[i] -= kStep;
          const double want = kWeight * (definition(p, up) - definition(p, down)) / (2 * kStep);
          EXPECT_NEAR(base.values()[row * count + i], want, 1e-6) << columns;
        }
      }
    }
  });
}

TEST(Divergence, OfADistributionToItselfIsNothing) {
  Stored base(DType::kF32, {1, 1000}, random_normal(1000, 1, 5.0));
  Stored logits(DType::kF32, {1, 1000}, base.values()), got(DType::kF32, {1});
  divergence(got.view(), base.view(), logits.view(), 1.0f);
  EXPECT_NEAR(got.values()[0], 0.0, 1e-6);
  for (const double value : base.values()) EXPECT_NEAR(value, 0.0, 1e-8);
}

}  // namespace
}  // namespace attune
