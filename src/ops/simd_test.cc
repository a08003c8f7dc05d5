// The conversions and the exponential that all kernels share, through small kernels of their own; and which set of
// instructions the kernels run on.
#include <cmath>
#include <cstdio>

#include "ops/gemm.h"
#include "ops/simd_limit.h"
#include "ops/test_support.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/simd_test.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

void exponential_range(float* out, const float* x, std::int64_t count) {
  for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR { store(d, exponential(d, load(d, x + i)), out + i); });
}

void round_range(bf16* out, const float* x, std::int64_t count) {
  for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR { store(d, load(d, x + i), out + i); });
}

void widen_range(float* out, const bf16* x, std::int64_t count) {
  for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR { store(d, load(d, x + i), out + i); });
}

const char* running_set() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {
HWY_EXPORT(exponential_range);
HWY_EXPORT(round_range);
HWY_EXPORT(widen_range);
HWY_EXPORT(running_set);
namespace {

TEST(Simd, ExponentialIsAccurateOverItsRange) {
  std::vector<float> x, out;
  for (float value = -87.0f; value < 88.37f; value += 0.00371f) x.push_back(value);
  out.resize(x.size());
  for_each_target([&] {
    HWY_DYNAMIC_DISPATCH(exponential_range)(out.data(), x.data(), static_cast<std::int64_t>(x.size()));
    double worst = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(out[i] / std::exp(static_cast<double>(x[i])) - 1.0));
    }
    EXPECT_LT(worst, 1e-7);
  });
}

TEST(Simd, ExponentialAtTheEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0f,
                             -0.0f,
                             -infinity,
                             -1e30f,
                             -105.0f,
                             -100.0f,
                             -88.0f,
                             88.36f,
                             88.73f,
                             89.5f,
                             1e30f,
                             infinity,
                             std::bit_cast<float>(0x7FFFFFFFu)};
  std::vector<float> out(x.size());
  for_each_target([&] {
    HWY_DYNAMIC_DISPATCH(exponential_range)(out.data(), x.data(), static_cast<std::int64_t>(x.size()));
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const float want = std::exp(x[i]);
      if (std::isinf(want)) {
        EXPECT_EQ(out[i], want) << x[i];
      } else {
        EXPECT_NEAR(out[i], want, 1e-7 * want + std::numeric_limits<float>::min()) << x[i];
      }
    }
    EXPECT_TRUE(std::isnan(out.back()));
  });
}

TEST(Simd, RoundsToBf16AsTheScalarConversionDoes) {
  // Every upper half with lower halves below, at and above the tie.
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  x.resize(x.size() - 3);  // an odd length exercises the tail
  std::vector<bf16> out(x.size());
  std::vector<float> widened(x.size());
  for_each_target([&] {
    const auto count = static_cast<std::int64_t>(x.size());
    HWY_DYNAMIC_DISPATCH(round_range)(out.data(), x.data(), count);
    HWY_DYNAMIC_DISPATCH(widen_range)(widened.data(), out.data(), count);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(out[i].bits, to_bf16(x[i]).bits) << std::hexfloat << x[i];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(widened[i]), std::uint32_t{out[i].bits} << 16);
    }
  });
}

TEST(SimdLimit, KernelsRunOnTheNamedSetAndOnNoOther) {
  const std::string widest = HWY_DYNAMIC_DISPATCH(running_set)();
  for (const auto& [name, target] : {std::pair("avx2", "AVX2"), {"neon", "NEON"}, {"scalar", "SCALAR"}}) {
    try {
      limit_simd(name);
    } catch (const UserError& error) {
      std::printf("not compared: %s\n", error.what());
      continue;
    }
    EXPECT_STREQ(HWY_DYNAMIC_DISPATCH(running_set)(), target);
    EXPECT_EQ(simd_in_use(), target);
    EXPECT_TRUE(gemm_is_fastest());
    EXPECT_STREQ(HWY_DYNAMIC_DISPATCH(running_set)(), target) << "after a question for the set";
  }
  limit_simd("");
  EXPECT_EQ(HWY_DYNAMIC_DISPATCH(running_set)(), widest);
  EXPECT_EQ(simd_in_use(), widest);
  EXPECT_THROW(limit_simd("sse9"), UserError);
}

}  // namespace
}  // namespace attune
#endif  // HWY_ONCE
