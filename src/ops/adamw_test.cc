// AdamW against torch's formula in f64, over several steps.
#include "ops/adamw.h"

#include "ops/test_support.h"

namespace attune {
namespace {

TEST(AdamW, FollowsTorchFormula) {
  for_each_target([] {
    for (const std::int64_t count : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 172, 4099}) {
      SCOPED_TRACE(count);
      const auto n = static_cast<std::size_t>(count);
      Stored parameter(DType::kF32, {count}, random_normal(n, 1)), first(DType::kF32, {count}, Doubles(n, 0.0));
      Stored second(DType::kF32, {count}, Doubles(n, 0.0));
      reference::AdamWState want{parameter.values(), Doubles(n), Doubles(n)};
      // In f64 from the same f32 hyperparameters: 1 - 0.999f is not 0.001.
      const AdamWParams params{.learning_rate = 1e-2f,
                               .beta1 = 0.9f,
                               .beta2 = 0.999f,
                               .epsilon = 1e-8f,
                               .weight_decay = 0.1f,
                               .step = 1,
                               .gradient_scale = 0.25f};
      constexpr int kSteps = 6;
      for (int step = 1; step <= kSteps; ++step) {
        Stored gradient(DType::kF32, {count}, random_normal(n, 10 + static_cast<std::uint64_t>(step), 3.0));
        const std::string before = gradient.bits();
        AdamWParams now = params;
        now.step = step;
        adamw_step(parameter.view(), gradient.view(), first.view(), second.view(), now);
        EXPECT_EQ(gradient.bits(), before) << "gradient is left as it is";
        Doubles scaled = gradient.values();
        for (double& value : scaled) value *= static_cast<double>(params.gradient_scale);
        reference::adamw(want, scaled, params.learning_rate, params.beta1, params.beta2, params.epsilon,
                         params.weight_decay, step);
      }
      expect_near(first.values(), want.first, DType::kF32, 3.0 * kSteps, largest(want.first), "first moment");
      expect_near(second.values(), want.second, DType::kF32, 4.0 * kSteps, largest(want.second), "second moment");
      expect_near(parameter.values(), want.parameter, DType::kF32, 4.0 * kSteps, largest(want.parameter), "parameter");
    }
  });
}

TEST(AdamW, SumOfSquaresMatchesAndDoesNotDependOnThreads) {
  for_each_target([] {
    for (const std::int64_t count : {1, 7, 8, 9, 31, 4099, 100003}) {
      const Doubles values = random_normal(static_cast<std::size_t>(count), 1, 100.0);
      Stored x(DType::kF32, {count}, values);
      double want = 0.0;
      for (const double value : x.values()) want += value * value;
      EXPECT_NEAR(sum_of_squares(x.view()), want, 1e-14 * static_cast<double>(count) * want) << count;
      expect_independent_of_threads([&] { return std::to_string(sum_of_squares(x.view())); });
    }
  });
}

TEST(AdamW, StepCountsFromOne) {
  Stored x(DType::kF32, {4});
  EXPECT_THROW(adamw_step(x.view(), x.view(), x.view(), x.view(), {1e-3f, 0.9f, 0.999f, 1e-8f, 0.0f, 0, 1.0f}),
               InternalError);
}

}  // namespace
}  // namespace attune
