// RMSNorm: the reference against complex steps, the kernels against the reference.
#include "ops/rms_norm.h"

#include "ops/test_support.h"

namespace attune {
namespace {

constexpr double kEps = 1e-6;
constexpr auto kEpsF32 = static_cast<float>(kEps);

struct Case {
  Case(DType type, std::int64_t rows, std::int64_t columns)
      : x(type, {rows, columns}, random_normal(static_cast<std::size_t>(rows * columns), 1)),
        weight(DType::kF32, {columns}, random_normal(static_cast<std::size_t>(columns), 2)),
        dout(type, {rows, columns}, random_normal(static_cast<std::size_t>(rows * columns), 3)),
        out(type, {rows, columns}),
        dx(type, {rows, columns}),
        inv_rms(DType::kF32, {rows}),
        dweight(DType::kF32, {columns}, Doubles(static_cast<std::size_t>(columns), 0.0)) {}

  Stored x, weight, dout, out, dx, inv_rms, dweight;
};

// A row's sums have C terms; a dozen roundings more on the way to an element.
double roundings(std::int64_t terms) { return 12.0 + std::sqrt(static_cast<double>(terms)); }

TEST(RmsNormReference, BackwardAgreesWithComplexSteps) {
  const Doubles x = random_normal(3 * 5, 1), weight = random_normal(5, 2), dout = random_normal(3 * 5, 3);
  const auto g = reference::rms_norm_backward(dout, x, weight, kEps);
  const auto cx = to_complex(x), cw = to_complex(weight);
  expect_complex_step(
      x, g.dx, dout, [&](const auto& v) { return reference::rms_norm(v, cw, kEps); }, "dx");
  expect_complex_step(
      weight, g.dweight, dout, [&](const auto& v) { return reference::rms_norm(cx, v, kEps); }, "dweight");
}

TEST(RmsNorm, MatchesReference) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t columns : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 172, 4099}) {
      SCOPED_TRACE(columns);
      Case c(type, 5, columns);
      rms_norm_forward(c.out.view(), c.inv_rms.view(), c.x.view(), c.weight.view(), kEpsF32);
      const Doubles x = c.x.values(), weight = c.weight.values(), dout = c.dout.values();
      const Doubles want = reference::rms_norm(x, weight, kEps);
      expect_near(c.out.values(), want, type, roundings(columns), largest(want), "out");
      rms_norm_backward(c.dx.view(), GradientMode::kOverwrite, c.dweight.view(), c.dout.view(), c.x.view(),
                        c.weight.view(), c.inv_rms.view());
      const auto g = reference::rms_norm_backward(dout, x, weight, kEps);
      // dx is a difference of terms of size inv w dout.
      const double inv = largest(c.inv_rms.values()), term = inv * largest(weight) * largest(dout);
      expect_near(c.dx.values(), g.dx, type, roundings(columns), term, "dx");
      expect_near(c.dweight.values(), g.dweight, DType::kF32, roundings(5), inv * largest(x) * largest(dout),
                  "dweight");
    }
  });
}

TEST(RmsNorm, AccumulatesAndAliases) {
  for_each_target_and_type([](DType type) {
    constexpr std::int64_t kRows = 3, kColumns = 33;
    Case c(type, kRows, kColumns);
    rms_norm_forward(c.out.view(), c.inv_rms.view(), c.x.view(), c.weight.view(), kEpsF32);
    const auto g = reference::rms_norm_backward(c.dout.values(), c.x.values(), c.weight.values(), kEps);
    const double norm = 2.0 * largest(g.dx) + 7.0;

    Stored sum(type, {kRows, kColumns});  // starts at 7
    rms_norm_backward(sum.view(), GradientMode::kAccumulate, {}, c.dout.view(), c.x.view(), c.weight.view(),
                      c.inv_rms.view());
    Doubles want = g.dx;
    for (double& value : want) value += 7.0;
    expect_near(sum.values(), want, type, roundings(kColumns), norm, "accumulated dx");

    rms_norm_backward(c.dx.view(), GradientMode::kOverwrite, c.dweight.view(), c.dout.view(), c.x.view(),
                      c.weight.view(), c.inv_rms.view());
    Stored aliased(type, {kRows, kColumns}, c.dout.values()), dweight(DType::kF32, {kColumns}, c.dweight.values());
    rms_norm_backward(aliased.view(), GradientMode::kOverwrite, dweight.view(), aliased.view(), c.x.view(),
                      c.weight.view(), c.inv_rms.view());
    EXPECT_EQ(aliased.bits(), c.dx.bits()) << "dx may be dout";
    Doubles twice = g.dweight;
    for (double& value : twice) value *= 2.0;
    expect_near(dweight.values(), twice, DType::kF32, roundings(2 * kRows), largest(twice), "accumulated dweight");

    rms_norm_forward(c.x.view(), c.inv_rms.view(), c.x.view(), c.weight.view(), kEpsF32);
    EXPECT_EQ(c.x.bits(), c.out.bits()) << "out may be x";
  });
}

TEST(RmsNorm, DoesNotDependOnThreads) {
  expect_independent_of_threads([] {
    Case c(DType::kF32, 200, 300);
    rms_norm_forward(c.out.view(), c.inv_rms.view(), c.x.view(), c.weight.view(), kEpsF32);
    rms_norm_backward(c.dx.view(), GradientMode::kOverwrite, c.dweight.view(), c.dout.view(), c.x.view(),
                      c.weight.view(), c.inv_rms.view());
    return c.out.bits() + c.inv_rms.bits() + c.dx.bits() + c.dweight.bits();
  });
}

TEST(RmsNorm, RefusesWrongShapes) {
  Case c(DType::kF32, 2, 8);
  Stored narrow(DType::kF32, {7});
  EXPECT_THROW(rms_norm_forward(c.out.view(), c.inv_rms.view(), c.x.view(), narrow.view(), kEpsF32), InternalError);
}

}  // namespace
}  // namespace attune
