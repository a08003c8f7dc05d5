// Rotary embedding: the reference against complex steps, the kernel against the reference and against itself
// undone.
#include "ops/rope.h"

#include "ops/test_support.h"

namespace attune {
namespace {

constexpr std::size_t kPositions = 50;

struct Tables {
  Doubles cosines, sines;
};
Tables tables(std::size_t half) {
  Tables t;
  for (std::size_t position = 0; position < kPositions; ++position) {
    for (std::size_t i = 0; i < half; ++i) {
      const double exponent = static_cast<double>(i) / static_cast<double>(half);
      const double angle = static_cast<double>(position) * std::pow(10000.0, -exponent);
      t.cosines.push_back(std::cos(angle));
      t.sines.push_back(std::sin(angle));
    }
  }
  return t;
}

TEST(RopeReference, BackwardAgreesWithComplexSteps) {
  const Ints positions{0, 3, 49};
  const Tables t = tables(2);
  const Doubles x = random_normal(3 * 2 * 4, 1), dout = random_normal(3 * 2 * 4, 2);
  const Doubles dx = reference::rope(dout, positions, t.cosines, t.sines, 2, 2, -1.0);
  expect_complex_step(
      x, dx, dout, [&](const auto& v) { return reference::rope(v, positions, t.cosines, t.sines, 2, 2, 1.0); }, "dx");
}

TEST(Rope, MatchesReference) {
  for_each_target_and_type([](DType type) {
    for (const std::size_t half : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 86, 128}) {
      SCOPED_TRACE(half);
      const Ints positions{0, 1, 2, 0, 49};
      const Tables t = tables(half);
      const auto columns = static_cast<std::int64_t>(half);
      Stored cosines(DType::kF32, {kPositions, columns}, t.cosines), sines(DType::kF32, {kPositions, columns}, t.sines);
      Stored where(DType::kI32, {5}, to_doubles(positions));
      for (const double direction : {1.0, -1.0}) {
        Stored x(type, {5, 3, 2 * columns}, random_normal(5 * 3 * 2 * half, 1));
        const Doubles want =
            reference::rope(x.values(), positions, cosines.values(), sines.values(), 3, half, direction);
        (direction > 0 ? rope_forward : rope_backward)(x.view(), where.view(), cosines.view(), sines.view());
        expect_near(x.values(), want, type, 3.0, 2.0 * largest(want), direction > 0 ? "forward" : "backward");
      }
    }
  });
}

TEST(Rope, RefusesOddHeads) {
  Stored x(DType::kF32, {1, 1, 5}), positions(DType::kI32, {1}, {0.0}), table(DType::kF32, {4, 2});
  EXPECT_THROW(rope_forward(x.view(), positions.view(), table.view(), table.view()), InternalError);
}

}  // namespace
}  // namespace attune
