// bf16_gemm against plain sums in f64 for every instruction, storage format and orientation, at sizes around the tile and the
// blocks of the sum.
#include "ops/bf16_gemm.h"

#include "ops/bf16_tile.h"
#include "ops/test_support.h"
#include "ops/test_weight.h"

namespace attune {
namespace {

std::size_t count_of(std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); }

// The product in f64, of b rounded to bf16 as the product rounds it, and for each element the sum of its terms' magnitudes:
// a sum of n terms in f32 is off by about sqrt(n) roundings of that (Higham and Mary, 2019).
struct Expected {
  Doubles values, magnitudes;

  explicit Expected(std::size_t count) : values(count, 0.0), magnitudes(count, 0.0) {}

  // `at` and `bt` say which operands are stored transposed.
  void add(const Doubles& a, bool at, const Doubles& b, bool bt, std::int64_t m, std::int64_t n, std::int64_t l,
           double factor) {
    for (std::int64_t k = 0; k < l; ++k) {
      for (std::int64_t j = 0; j < n; ++j) {
        const double value = b[static_cast<std::size_t>(bt ? j * l + k : k * n + j)];
        const double right = to_float(to_bf16(static_cast<float>(value) * static_cast<float>(factor)));
        for (std::int64_t i = 0; i < m; ++i) {
          const double term = a[static_cast<std::size_t>(at ? k * m + i : i * l + k)] * right;
          values[static_cast<std::size_t>(i * n + j)] += term;
          magnitudes[static_cast<std::size_t>(i * n + j)] += std::abs(term);
        }
      }
    }
  }

  void compare(const Doubles& got, std::int64_t length, double times = 1.0) const {
    const double roundings = 4.0 * std::sqrt(static_cast<double>(length)) * std::ldexp(1.0, -24);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(got[i], times * values[i], times * roundings * magnitudes[i]) << "element " << i;
    }
  }
};

class Bf16Gemm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (bf16_tiles() == Bf16Tiles::kNone) GTEST_SKIP() << "this processor multiplies no bf16";
  }
};

TEST_F(Bf16Gemm, EveryFormatOrientationAndSizeAgreesWithPlainSums) {
  struct Sizes {
    std::int64_t m, n, l;
  };
  for_each_bf16_tiles([&] {
    for (const Sizes s : {Sizes{1, 1, 1},
                          {5, 17, 3},
                          {32, 32, 64},
                          {33, 80, 65},
                          {13, 64, 320},
                          {90, 64, 320},
                          {100, 33, 576},
                          {3, 600, 128},
                          {1060, 70, 64},
                          {97, 200, 640},
                          {64, 16, 1100}}) {
      for (const WeightFormat format :
           {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kNF4, WeightFormat::kInt8}) {
        for (const int turned : {0, 1, 2, 3}) {
          const bool at = turned & 1, bt = turned & 2;
          SCOPED_TRACE(::testing::Message()
                       << s.m << "x" << s.n << "x" << s.l << " " << name_of(format) << " " << turned);
          const TestWeight weight(bt ? s.n : s.l, bt ? s.l : s.n, format);
          Stored a(DType::kBF16, at ? Shape{s.l, s.m} : Shape{s.m, s.l}, random_normal(count_of(s.m, s.l), 1));
          Stored c(DType::kF32, {s.m, s.n});
          Stored narrow(DType::kBF16, {s.m, s.n});
          const GemmTerm term{a.view(), at, RightOperand::of(weight.matrix, bt)};
          bf16_gemm(c.view(), {&term, 1}, false);
          bf16_gemm(narrow.view(), {&term, 1}, false);
          Expected want(count_of(s.m, s.n));
          want.add(a.values(), at, weight.dense, bt, s.m, s.n, s.l, 1.0);
          const Doubles got = c.values(), rounded = narrow.values();
          want.compare(got, s.l);
          for (std::size_t i = 0; i < got.size(); ++i) {
            ASSERT_EQ(rounded[i], to_float(to_bf16(static_cast<float>(got[i]))));
          }
          bf16_gemm(c.view(), {&term, 1}, true);
          want.compare(c.values(), s.l, 2.0);
        }
      }
    }
  });
}

TEST_F(Bf16Gemm, TermsAddUpWhateverTheWorkspaceAndTheThreads) {
  constexpr std::int64_t kM = 230, kN = 150, kL = 640, kR = 16;
  for_each_bf16_tiles([&] {
    const TestWeight weight(kN, kL, WeightFormat::kNF4), factor(kN, kR, WeightFormat::kF32);
    Stored x(DType::kBF16, {kM, kL}, random_normal(count_of(kM, kL), 1));
    Stored hidden(DType::kBF16, {kM, kR}, random_normal(count_of(kM, kR), 2));
    const GemmTerm terms[] = {{x.view(), false, RightOperand::of(weight.matrix, true)},
                              {hidden.view(), false, RightOperand::of(factor.matrix, true)}};
    GemmTerm scaled[] = {terms[0], terms[1]};
    scaled[1].b.factor = 2.0f;
    Expected want(count_of(kM, kN));
    want.add(x.values(), false, weight.dense, true, kM, kN, kL, 1.0);
    want.add(hidden.values(), false, factor.dense, true, kM, kN, kR, 2.0);
    std::string bits;
    for (const std::int64_t room : {0, 100, 32 * 700, 96 * 700, 1 << 20}) {
      for (const int threads : {1, 2, 3, 5}) {
        omp_set_num_threads(threads);
        Stored c(DType::kF32, {kM, kN});
        Stored space(DType::kBF16, {std::max<std::int64_t>(room, 1)});
        bf16_gemm(c.view(), scaled, false, room == 0 ? TensorView{} : space.view());
        want.compare(c.values(), kL);
        if (bits.empty()) bits = c.bits();
        EXPECT_EQ(c.bits(), bits) << room << " elements, " << threads << " threads";
      }
    }
    omp_set_num_threads(omp_get_num_procs());
  });
}

// Rows of a long sum are packed whole, or a part of the sum at a time beside the sums so far, or by each thread.
TEST_F(Bf16Gemm, LongSumsHaveTheSameBitsHoweverMuchIsPackedTogether) {
  constexpr std::int64_t kM = 257, kN = 300, kL = 71 * 64;
  for_each_bf16_tiles([&] {
    const TestWeight weight(kN, kL, WeightFormat::kNF4);
    Stored x(DType::kBF16, {kM, kL}, random_normal(count_of(kM, kL), 1));
    const GemmTerm term{x.view(), false, RightOperand::of(weight.matrix, true)};
    Expected want(count_of(kM, kN));
    want.add(x.values(), false, weight.dense, true, kM, kN, kL, 1.0);
    std::string bits;
    for (const std::int64_t room : {1, 900'000, 1'500'000}) {
      for (const int threads : {1, 2}) {
        omp_set_num_threads(threads);
        Stored c(DType::kF32, {kM, kN});
        Stored space(DType::kBF16, {room});
        bf16_gemm(c.view(), {&term, 1}, false, space.view());
        want.compare(c.values(), kL);
        if (bits.empty()) bits = c.bits();
        EXPECT_EQ(c.bits(), bits) << room << " elements, " << threads << " threads";
      }
    }
    omp_set_num_threads(omp_get_num_procs());
  });
}

}  // namespace
}  // namespace attune
