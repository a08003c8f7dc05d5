// Dropout and noise: the definition word by word, statistics, bounds.
#include "ops/noise.h"

#include <cmath>

#include "ops/test_support.h"

namespace attune {
namespace {

constexpr NoiseKey kKey{.seed = 0x123456789ABCDEFull, .stream = 0xFEDCBA987654321ull};

TEST(Dropout, ElementIsFunctionOfKeyAndIndex) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t count : {1, 3, 8, 31, 63, 64, 65, 172, 4099}) {
      SCOPED_TRACE(count);
      Stored x(type, {count}, random_normal(static_cast<std::size_t>(count), 1)), out(type, {count});
      dropout(out.view(), x.view(), 0.25f, kKey);
      Doubles want = x.values();
      for (std::size_t i = 0; i < want.size(); ++i) {
        const std::uint32_t word = philox(kKey.seed, kKey.stream, i / 4)[i % 4];
        want[i] = static_cast<double>(word) * 0x1.0p-32 < 0.25 ? 0.0 : want[i] / 0.75;
      }
      expect_near(out.values(), want, type, 1.0, largest(want), "out");
      dropout(x.view(), x.view(), 0.25f, kKey);
      EXPECT_EQ(x.bits(), out.bits()) << "out may be x; the same key gives the same mask";
    }
  });
}

TEST(Dropout, KeepsTheStatedShareAndTheMean) {
  constexpr std::int64_t kCount = 1 << 20;
  Stored ones(DType::kF32, {kCount}, Doubles(kCount, 1.0)), out(DType::kF32, {kCount});
  for (const float probability : {0.05f, 0.1f, 0.5f, 0.9f}) {
    dropout(out.view(), ones.view(), probability, kKey);
    const Doubles values = out.values();
    const auto dropped = static_cast<double>(std::count(values.begin(), values.end(), 0.0));
    const double p = static_cast<double>(probability);
    EXPECT_NEAR(dropped, kCount * p, 5.0 * std::sqrt(kCount * p * (1.0 - p))) << probability;
    EXPECT_NEAR(largest(values), 1.0 / (1.0 - p), 1e-6 / (1.0 - p));
  }
}

TEST(Dropout, ZeroProbabilityIsTheIdentity) {
  Stored x(DType::kF32, {100}, random_normal(100, 1)), out(DType::kF32, {100});
  dropout(out.view(), x.view(), 0.0f, kKey);
  EXPECT_EQ(out.bits(), x.bits());
  EXPECT_THROW(dropout(out.view(), x.view(), 1.0f, kKey), InternalError);
}

TEST(Dropout, KeysGiveDifferentMasksAndThreadsTheSame) {
  Stored x(DType::kF32, {70000}, Doubles(70000, 1.0)), out(DType::kF32, {70000});
  expect_independent_of_threads([&] {
    dropout(out.view(), x.view(), 0.5f, kKey);
    return out.bits();
  });
  const std::string first = out.bits();
  dropout(out.view(), x.view(), 0.5f, {kKey.seed, kKey.stream + 1});
  EXPECT_NE(out.bits(), first);
  dropout(out.view(), x.view(), 0.5f, {kKey.seed + 1, kKey.stream});
  EXPECT_NE(out.bits(), first);
}

TEST(UniformNoise, StaysInBoundsAndSpreadsEvenly) {
  for_each_target([] {
    constexpr std::int64_t kCount = 100003;
    constexpr double kMagnitude = 0.25;
    Stored x(DType::kF32, {kCount}, Doubles(kCount, 0.0));
    add_uniform_noise(x.view(), static_cast<float>(kMagnitude), kKey);
    double sum = 0.0, squares = 0.0;
    for (const double value : x.values()) {
      ASSERT_LT(std::abs(value), kMagnitude);
      sum += value;
      squares += value * value;
    }
    const double variance = kMagnitude * kMagnitude / 3.0, count = kCount;
    EXPECT_NEAR(sum / count, 0.0, 5.0 * std::sqrt(variance / count));
    // Var(u^2) = 4/45 of the fourth power of the magnitude.
    EXPECT_NEAR(squares / count, variance, 5.0 * kMagnitude * kMagnitude * std::sqrt(4.0 / 45.0 / count));
  });
}

TEST(UniformNoise, IsTheSameForEveryTargetAndThreadCount) {
  Stored x(DType::kF32, {70001}, random_normal(70001, 1));
  std::string first;
  for_each_target([&] {
    expect_independent_of_threads([&] {
      Stored noisy(DType::kF32, {70001}, Doubles(70001, 0.0));
      add_uniform_noise(noisy.view(), 1.0f, kKey);
      if (first.empty()) first = noisy.bits();
      EXPECT_TRUE(noisy.bits() == first);
      return noisy.bits();
    });
  });
}

TEST(Add, AddsElementByElement) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t count : {1, 7, 8, 9, 16, 17, 31, 33, 172, 4099}) {
      const auto n = static_cast<std::size_t>(count);
      Stored out(type, {count}, random_normal(n, 1)), x(type, {count}, random_normal(n, 2), 3);
      const Doubles added = x.values();
      Doubles want = out.values();
      for (std::size_t i = 0; i < n; ++i) want[i] += added[i];
      add(out.view(), x.view());
      EXPECT_EQ(out.bits(), Stored(type, {count}, want).bits()) << count;
    }
  });
}

}  // namespace
}  // namespace attune
