// Cross-entropy: the reference against complex steps, the kernel against the reference.
#include "ops/cross_entropy.h"

#include "ops/test_support.h"

namespace attune {
namespace {

TEST(CrossEntropyReference, BackwardAgreesWithComplexSteps) {
  const Doubles logits = random_normal(3 * 5, 1, 2.0);
  const Ints targets{4, 0, 2};
  expect_complex_step(
      logits, reference::cross_entropy_backward(logits, targets), Doubles(3, 1.0),
      [&](const auto& x) { return reference::cross_entropy(x, targets); }, "dlogits");
}

TEST(CrossEntropy, MatchesReference) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t columns : {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 172, 4099}) {
      SCOPED_TRACE(columns);
      const Ints targets{0, static_cast<std::int32_t>(columns - 1), static_cast<std::int32_t>(columns / 2)};
      const auto count = static_cast<std::size_t>(3 * columns);
      Stored logits(DType::kF32, {3, columns}, random_normal(count, 1, 5.0)), losses(DType::kF32, {3});
      Stored ids(DType::kI32, {3}, to_doubles(targets));
      const Doubles x = logits.values();
      const Matrix dlogits = cross_entropy_backward(losses.view(), logits.view(), ids.view(), type);
      const Doubles want = reference::cross_entropy(x, targets),
                    gradient = reference::cross_entropy_backward(x, targets);
      // logit - maximum rounds once at the size of the logits: that moves a probability by as much,
      // relatively.
      const double roundings = 8.0 + largest(x);
      expect_near(losses.values(), want, DType::kF32, roundings, 1.0 + largest(want), "losses");
      ASSERT_EQ(dlogits.rows, 3);
      ASSERT_EQ(dlogits.columns, columns);
      Doubles got;
      for (std::int64_t row = 0; row < 3; ++row) {
        const TensorView values(dlogits.row_block(row, 1).data, type, {columns});
        for (std::int64_t i = 0; i < columns; ++i) {
          got.push_back(type == DType::kF32 ? values.as<float>()[i] : to_float(values.as<bf16>()[i]));
        }
      }
      expect_near(got, gradient, type, roundings, largest(gradient), "gradient");
      Stored again(DType::kF32, {3, columns}, x), losses_alone(DType::kF32, {3});
      cross_entropy_forward(losses_alone.view(), again.view(), ids.view());
      EXPECT_EQ(losses_alone.bits(), losses.bits()) << "without the gradient";
    }
  });
}

TEST(CrossEntropy, LargeVocabularyKeepsItsDigits) {
  for_each_target([] {
    constexpr std::int64_t kColumns = 151936;
    Stored logits(DType::kF32, {1, kColumns}, random_normal(kColumns, 1)), losses(DType::kF32, {1});
    Stored target(DType::kI32, {1}, {77.0});
    const double want = reference::cross_entropy(logits.values(), Ints{77})[0];
    cross_entropy_forward(losses.view(), logits.view(), target.view());
    EXPECT_NEAR(losses.values()[0], want, 8.0 * 0x1.0p-24 * want);
  });
}

TEST(CrossEntropy, SurvivesExtremeLogits) {
  for_each_target([] {
    Stored logits(DType::kF32, {2, 9}, {1e30, 0, 0, 0, 0, 0, 0, 0, -1e30, -3e38, 0, 0, 0, 0, 0, 0, 0, 0});
    Stored losses(DType::kF32, {2}), targets(DType::kI32, {2}, {0.0, 1.0});
    cross_entropy_backward(losses.view(), logits.view(), targets.view(), DType::kF32);
    EXPECT_EQ(losses.values()[0], 0.0);
    EXPECT_NEAR(losses.values()[1], std::log(8.0), 1e-6);
    EXPECT_EQ(logits.values()[0], 0.0);
    EXPECT_EQ(logits.values()[9], 0.0);
  });
}

TEST(CrossEntropy, NanInTheLogitsReachesTheLoss) {
  for_each_target([] {
    for (const std::size_t place : {0, 3, 20}) {
      Doubles values(21, 1.0);
      values[place] = std::numeric_limits<double>::quiet_NaN();
      Stored logits(DType::kF32, {1, 21}, values), losses(DType::kF32, {1}), target(DType::kI32, {1}, {1.0});
      cross_entropy_forward(losses.view(), logits.view(), target.view());
      EXPECT_TRUE(std::isnan(losses.values()[0])) << place;
    }
  });
}

TEST(CrossEntropy, RefusesUnknownTargets) {
  Stored logits(DType::kF32, {1, 4}), losses(DType::kF32, {1});
  for (const double id : {-1.0, 4.0}) {
    Stored target(DType::kI32, {1}, {id});
    EXPECT_THROW(cross_entropy_forward(losses.view(), logits.view(), target.view()), InternalError) << id;
  }
}

}  // namespace
}  // namespace attune
