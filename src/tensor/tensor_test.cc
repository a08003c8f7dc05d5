// tensor/: 16-bit conversions and the memory plan.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/memory_use.h"
#include "base/rng.h"
#include "tensor/memory_plan.h"

namespace attune {
namespace {

TEST(DType, HalfRoundTripsEveryValue) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const f16 half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(value))));
    } else {
      EXPECT_EQ(to_f16(value).bits, half.bits);
    }
  }
}

// The compiler's own conversions are the independent reference.
#if defined(__ARM_FP16_FORMAT_IEEE)
using Half = __fp16;  // GCC 12 knows no other half in C++ for arm64
#elif defined(__FLT16_MAX__)
using Half = _Float16;
#endif

TEST(DType, RoundsAsTheHardwareDoes) {
  Rng rng{1, 2, 0};
  for (int i = 0; i < 1'000'000; ++i) {
    const auto x = std::bit_cast<float>(rng.next_u32());
    if (std::isnan(x)) continue;
#if defined(__FLT16_MAX__)
    const auto expected = static_cast<Half>(x);
    EXPECT_EQ(to_f16(x).bits, std::bit_cast<std::uint16_t>(expected)) << x;
#endif
    const bf16 rounded = to_bf16(x);
    const auto down = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0xFFFF0000u);
    const auto up = std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) & 0xFFFF0000u) + 0x10000u);
    const double error = std::abs(static_cast<double>(to_float(rounded)) - x);
    if (std::isfinite(up)) {
      EXPECT_LE(error, std::min(std::abs(static_cast<double>(down) - x), std::abs(static_cast<double>(up) - x)));
    }
  }
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(MemoryPlan, OnlyBuffersWithDisjointLifetimesShareBytes) {
  Rng rng{3, 0, 0};
  for (int round = 0; round < 50; ++round) {
    MemoryPlan plan;
    std::size_t sum = 0;
    for (int i = 0; i < 40; ++i) {
      const int begin = static_cast<int>(rng.below(20));
      plan.add(std::to_string(i), BufferKind::kActivations, DType::kF32,
               {1 + static_cast<std::int64_t>(rng.below(1000))}, {begin, begin + 1 + static_cast<int>(rng.below(8))});
    }
    plan.place();
    for (const BufferPlan& a : plan.buffers()) {
      sum += a.bytes + kBufferAlignment;
      EXPECT_EQ(a.offset % kBufferAlignment, 0u);
      EXPECT_LE(a.offset + a.bytes, plan.arena_bytes());
      for (const BufferPlan& b : plan.buffers()) {
        const bool together = a.lifetime.begin < b.lifetime.end && b.lifetime.begin < a.lifetime.end;
        const bool shared = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
        EXPECT_FALSE(&a != &b && together && shared) << a.name << " and " << b.name;
      }
    }
    EXPECT_LT(plan.arena_bytes(), sum);
  }
}

TEST(MemoryPlan, ArenaGivesZeroedViewsOfTheRightShape) {
  MemoryPlan plan;
  const BufferId a = plan.add("a", BufferKind::kWeights, DType::kBF16, {3, 5});
  const BufferId b = plan.add("b", BufferKind::kScratch, DType::kF32, {7});
  plan.place();
  const Arena arena(plan);
  EXPECT_EQ(arena.view(a).bytes(), 30u);
  EXPECT_EQ(arena.view(a).shape, (Shape{3, 5}));
  EXPECT_EQ(arena.view(b).as<float>()[6], 0.0f);
  EXPECT_TRUE(arena.view(BufferId{}).empty());
  EXPECT_EQ(plan.bytes_of(BufferKind::kWeights), 30u);
}

TEST(MemoryPlan, AnArenaGivesBackOneKindAndKeepsTheOthers) {
  MemoryPlan plan;
  const BufferId kept = plan.add("kept", BufferKind::kOptimizer, DType::kU8, {3 << 20});
  const BufferId given = plan.add("given", BufferKind::kActivations, DType::kU8, {5 << 20});
  plan.place();
  const Arena arena(plan);
  for (const BufferId id : {kept, given}) {
    const TensorView view = arena.view(id);
    std::fill_n(view.as<std::uint8_t>(), view.elements(), std::uint8_t{7});
  }
  const std::size_t before = resident_bytes(), bytes = arena.give_back(BufferKind::kActivations);
  EXPECT_GT(bytes, std::size_t{4} << 20);
  EXPECT_LT(resident_bytes() + bytes / 2, before);
  EXPECT_EQ(arena.view(given).as<std::uint8_t>()[1 << 20], 0);
  for (std::int64_t i = 0; i < 3 << 20; ++i) ASSERT_EQ(arena.view(kept).as<std::uint8_t>()[i], 7);
}

}  // namespace
}  // namespace attune
