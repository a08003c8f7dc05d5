// Compact moments against AdamW in f32: the same course within the rounding of the state, the same bits for any thread count.
#include "ops/adamw_compact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "ops/test_support.h"
#include "quant/dynamic_map.h"

namespace attune {
namespace {

TEST(DynamicMap, HasTheValuesOfBitsandbytes) {
  // create_dynamic_map(signed=False): its smallest and largest values.
  const auto& map = unsigned_dynamic_map();
  EXPECT_EQ(map[0], 0.0f);
  EXPECT_NEAR(map[1], 3.25e-7, 1e-13);
  EXPECT_NEAR(map[2], 7.75e-7, 1e-13);
  EXPECT_NEAR(map[254], 0.9964844, 1e-6);
  EXPECT_EQ(map[255], 1.0f);
  EXPECT_EQ(std::set<float>(map.begin(), map.end()).size(), 256u);
  for (const auto* values : {&dynamic_map(), &unsigned_dynamic_map()}) {
    const DynamicMapEncoder encode(*values);
    for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(encode((*values)[i]), i);
    EXPECT_EQ(encode(2.0f), 255);
    EXPECT_EQ(encode(-2.0f), 0);
  }
}

enum class Format { kF32, kBF16, kInt8 };

// 200 steps on sum((x - target)^2 / 2) from noisy gradients; returns the parameters.
std::vector<float> course(Format format, std::int64_t count) {
  const auto n = static_cast<std::size_t>(count);
  const Doubles targets = random_normal(n, 1);
  const DType type = format == Format::kF32 ? DType::kF32 : format == Format::kBF16 ? DType::kBF16 : DType::kU8;
  std::vector<float> x(n, 0.0f), g(n);
  std::vector<std::byte> m(n * 4), v(n * 4);
  std::vector<float> m_scales(static_cast<std::size_t>(moment_blocks(count))), v_scales = m_scales;
  const auto floats = [](std::vector<float>& values) {
    return TensorView{values.data(), DType::kF32, {static_cast<std::int64_t>(values.size())}};
  };
  const TensorView first{m.data(), type, {count}}, second{v.data(), type, {count}};
  for (int step = 1; step <= 200; ++step) {
    const Doubles noise = random_normal(n, 100 + static_cast<std::uint64_t>(step), 0.1);
    for (std::size_t i = 0; i < n; ++i) g[i] = x[i] - static_cast<float>(targets[i] + noise[i]);
    const AdamWParams params{2e-2f, 0.9f, 0.999f, 1e-8f, 0.0f, step, 1.0f};
    if (format == Format::kF32) adamw_step(floats(x), floats(g), first, second, params);
    if (format == Format::kBF16)
      adamw_bf16_step(floats(x), floats(g), first, second, params, {7, static_cast<std::uint64_t>(step)});
    if (format == Format::kInt8)
      adamw_8bit_step(floats(x), floats(g), first, second, floats(m_scales), floats(v_scales), params);
  }
  return x;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    squares += std::pow(a[i] - b[i], 2);
    norm += std::pow(b[i], 2);
  }
  return std::sqrt(squares / norm);
}

TEST(AdamWCompact, FollowsF32WithinTheRoundingOfItsState) {
  for (const std::int64_t count : {1, 255, 256, 1000}) {
    const std::vector<float> exact = course(Format::kF32, count);
    EXPECT_LT(distance(course(Format::kBF16, count), exact), 0.01) << count;
    EXPECT_LT(distance(course(Format::kInt8, count), exact), 0.02) << count;
  }
}

TEST(AdamWCompact, FirstStepIsThatOfF32) {
  // From zero the moments are not read, so nothing has been rounded yet.
  std::vector<float> exact(300, 1.0f), compact = exact, g(300), m(300), v(300), ms(2), vs(2);
  std::iota(g.begin(), g.end(), -100.0f);
  std::vector<std::uint8_t> mc(300), vc(300);
  const auto view = [](auto& values, DType type) {
    return TensorView{values.data(), type, {static_cast<std::int64_t>(values.size())}};
  };
  const AdamWParams params{1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 1, 0.5f};
  constexpr DType kF = DType::kF32;
  adamw_step(view(exact, kF), view(g, kF), view(m, kF), view(v, kF), params);
  adamw_8bit_step(view(compact, kF), view(g, kF), view(mc, DType::kU8), view(vc, DType::kU8), view(ms, kF),
                  view(vs, kF), params);
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(compact[i], exact[i], 1e-6) << i;
}

TEST(AdamWCompact, DoesNotDependOnThreads) {
  for (const Format format : {Format::kBF16, Format::kInt8}) {
    expect_independent_of_threads([&] {
      const std::vector<float> x = course(format, 70'000);
      return std::string(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float));
    });
  }
}

}  // namespace
}  // namespace attune
