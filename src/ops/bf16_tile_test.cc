// Tiles by every instruction that this processor has, against sums in f64 of the same rounded operands.
#include "ops/bf16_tile.h"

#include "ops/test_support.h"

namespace attune {
namespace {

// As the header lays a right operand [32 steps, 32] out: element (l, n).
std::size_t right_index(std::int64_t l, std::int64_t n) {
  return static_cast<std::size_t>(l / 32 * kBf16Step + n / 16 * (kBf16Step / 2) + l % 32 / 2 * 32 + n % 16 * 2 + l % 2);
}

TEST(Bf16Tile, EveryInstructionAgreesWithPlainSums) {
  if (bf16_tiles() == Bf16Tiles::kNone) GTEST_SKIP() << "this processor multiplies no bf16";
  for_each_bf16_tiles([] {
    for (const std::int64_t steps : {1, 3, 16}) {
      const std::int64_t length = steps * kBf16Tile, row = length + 7;
      const Doubles a = random_normal(static_cast<std::size_t>(kBf16Tile * length), 1);
      const Doubles b = random_normal(static_cast<std::size_t>(length * kBf16Tile), 2);
      std::vector<bf16> left(static_cast<std::size_t>(kBf16Tile * row)),
          right(static_cast<std::size_t>(length * kBf16Tile));
      std::vector<bf16> packed(static_cast<std::size_t>(kBf16Tile * length));
      for (std::int64_t r = 0; r < kBf16Tile; ++r) {
        for (std::int64_t l = 0; l < length; ++l) {
          const bf16 value = to_bf16(static_cast<float>(a[static_cast<std::size_t>(r * length + l)]));
          left[static_cast<std::size_t>(r * row + l)] = value;
          packed[static_cast<std::size_t>(l / 32 * kBf16Step + r / 16 * (kBf16Step / 2) + r % 16 * 32 + l % 32)] =
              value;
        }
      }
      for (std::int64_t l = 0; l < length; ++l) {
        for (std::int64_t n = 0; n < kBf16Tile; ++n) {
          right[right_index(l, n)] = to_bf16(static_cast<float>(b[static_cast<std::size_t>(l * kBf16Tile + n)]));
        }
      }
      Doubles want(static_cast<std::size_t>(kBf16Tile * kBf16Tile), 0.0);
      for (std::int64_t r = 0; r < kBf16Tile; ++r) {
        for (std::int64_t l = 0; l < length; ++l) {
          for (std::int64_t n = 0; n < kBf16Tile; ++n) {
            want[static_cast<std::size_t>(r * kBf16Tile + n)] +=
                static_cast<double>(to_float(left[static_cast<std::size_t>(r * row + l)])) *
                to_float(right[right_index(l, n)]);
          }
        }
      }
      constexpr std::int64_t kRow = 40;
      std::vector<float> c(static_cast<std::size_t>(kBf16Tile * kRow), 7.0f);
      const auto expect = [&](double times) {
        for (std::int64_t r = 0; r < kBf16Tile; ++r) {
          for (std::int64_t n = 0; n < kRow; ++n) {
            const float got = c[static_cast<std::size_t>(r * kRow + n)];
            if (n >= kBf16Tile) {
              EXPECT_EQ(got, 7.0f) << "beyond the tile";
            } else {
              EXPECT_NEAR(got, times * want[static_cast<std::size_t>(r * kBf16Tile + n)],
                          2e-6 * static_cast<double>(length));
            }
          }
        }
      };
      const Bf16Multiplier multiplier;
      multiplier.multiply(c.data(), kRow, {left.data(), row, 16 * row, 32}, right.data(), steps, false);
      expect(1);
      multiplier.multiply(c.data(), kRow, Bf16Left::packed(packed.data()), right.data(), steps, true);
      expect(2);
    }
  });
}

TEST(Bf16Tile, SubnormalsAreZeroWhileAThreadMultipliesAndAsBeforeAfterwards) {
  if (bf16_tiles() == Bf16Tiles::kNone) GTEST_SKIP() << "this processor multiplies no bf16";
  for_each_bf16_tiles([] {
    const volatile float small = 1e-30f, smallest = 1e-39f;
    const volatile float before = small * 1e-9f;
    ASSERT_GT(before, 0.0f);
    {
      const Bf16Multiplier multiplier;
      const volatile float result = small * 1e-9f, input = smallest * 1e9f;
      EXPECT_EQ(result, 0.0f);
      EXPECT_EQ(input, 0.0f);
    }
    const volatile float after = small * 1e-9f;
    EXPECT_EQ(after, before);
  });
}

}  // namespace
}  // namespace attune
