// gemm against plain sums in f64 for every instruction set, storage format and orientation, at sizes around the register
// tile, the blocks of the sum and the panels.
#include "ops/gemm.h"

#include "ops/test_support.h"
#include "ops/test_weight.h"

namespace attune {
namespace {

// c += a b, row by row in f64. `at` and `bt` say which are stored transposed.
void add_product(Doubles& c, const Doubles& a, bool at, const Doubles& b, bool bt, std::int64_t m, std::int64_t n,
                 std::int64_t l, double factor) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t k = 0; k < l; ++k) {
      const double left = factor * a[static_cast<std::size_t>(at ? k * m + i : i * l + k)];
      for (std::int64_t j = 0; j < n; ++j) {
        c[static_cast<std::size_t>(i * n + j)] += left * b[static_cast<std::size_t>(bt ? j * l + k : k * n + j)];
      }
    }
  }
}

struct Sizes {
  std::int64_t m, n, l;
};
constexpr Sizes kSizes[] = {{1, 1, 1},     {5, 17, 3},     {6, 16, 64},   {7, 80, 65},    {13, 64, 320},
                            {12, 96, 321}, {100, 33, 256}, {3, 257, 128}, {1030, 70, 64}, {97, 200, 600}};

std::size_t count(std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); }

TEST(Gemm, EveryFormatOrientationAndSizeAgreesWithPlainSums) {
  for_each_target([&] {
    for (const Sizes s : kSizes) {
      for (const WeightFormat format :
           {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kNF4, WeightFormat::kInt8}) {
        for (const int turned : {0, 1, 2, 3}) {
          const bool at = turned & 1, bt = turned & 2;
          SCOPED_TRACE(::testing::Message()
                       << s.m << "x" << s.n << "x" << s.l << " " << name_of(format) << " " << turned);
          const TestWeight weight(bt ? s.n : s.l, bt ? s.l : s.n, format);
          const Doubles left = random_normal(count(s.m, s.l), 1);
          Stored a(DType::kF32, at ? Shape{s.l, s.m} : Shape{s.m, s.l}, left);
          Stored c(DType::kF32, {s.m, s.n});
          const GemmTerm term{a.view(), at, RightOperand::of(weight.matrix, bt)};
          gemm(c.view(), {&term, 1}, false);
          Doubles want(count(s.m, s.n), 0.0);
          add_product(want, a.values(), at, weight.dense, bt, s.m, s.n, s.l, 1.0);
          expect_near(c.values(), want, DType::kF32, 4.0 * std::sqrt(static_cast<double>(s.l)), 10.0, "product");
          gemm(c.view(), {&term, 1}, true);
          for (double& value : want) value *= 2;
          expect_near(c.values(), want, DType::kF32, 8.0 * std::sqrt(static_cast<double>(s.l)), 10.0, "accumulated");
        }
      }
    }
  });
}

TEST(Gemm, TermsAddUpAndSmallWorkspacesServe) {
  constexpr std::int64_t kM = 230, kN = 150, kL = 384, kR = 16;
  const TestWeight weight(kN, kL, WeightFormat::kNF4);
  Stored a(DType::kF32, {kM, kL}, random_normal(count(kM, kL), 1)),
      h(DType::kF32, {kM, kR}, random_normal(count(kM, kR), 2));
  Stored b(DType::kF32, {kN, kR}, random_normal(count(kN, kR), 4));
  const GemmTerm terms[] = {{a.view(), false, RightOperand::of(weight.matrix, true)},
                            {h.view(), false, RightOperand::of(Matrix(b.view()), true, 0.5f)}};
  Doubles want(count(kM, kN), 0.0);
  add_product(want, a.values(), false, weight.dense, true, kM, kN, kL, 1.0);
  add_product(want, h.values(), false, b.values(), true, kM, kN, kR, 0.5);
  for_each_target([&] {
    for (const std::size_t floats : {std::size_t{0}, std::size_t{1000}, std::size_t{300'000}, std::size_t{4'000'000}}) {
      std::vector<float> space(floats);
      Stored c(DType::kF32, {kM, kN});
      gemm(c.view(), terms, false, {space.data(), DType::kF32, {static_cast<std::int64_t>(floats)}});
      expect_near(c.values(), want, DType::kF32, 4.0 * std::sqrt(400.0), 10.0, "two terms");
    }
  });
}

TEST(Gemm, DoesNotDependOnTheThreads) {
  constexpr std::int64_t kM = 200, kN = 130, kL = 640;
  const TestWeight weight(kN, kL, WeightFormat::kNF4);
  Stored a(DType::kF32, {kM, kL}, random_normal(count(kM, kL), 1));
  expect_independent_of_threads([&] {
    Stored c(DType::kF32, {kM, kN});
    const GemmTerm term{a.view(), false, RightOperand::of(weight.matrix, true)};
    gemm(c.view(), {&term, 1}, false);
    return c.bits();
  });
}

TEST(Gemm, ShapesThatDoNotFitAreRefused) {
  Stored a(DType::kF32, {2, 3}), b(DType::kF32, {4, 5}), c(DType::kF32, {2, 4});
  const GemmTerm term{a.view(), false, RightOperand::of(Matrix(b.view()), true)};
  EXPECT_THROW(gemm(c.view(), {&term, 1}, false), InternalError);
}

}  // namespace
}  // namespace attune
