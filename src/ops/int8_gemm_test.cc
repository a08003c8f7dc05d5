// The 8-bit products against the same roundings in plain loops, and against the exact products within what 8 bits leave.
#include "ops/int8_gemm.h"

#include "ops/bf16_gemm.h"
#include "ops/bf16_tile.h"
#include "ops/test_support.h"
#include "ops/test_weight.h"

namespace attune {
namespace {

// How a product rounds: the largest codes, and how many summands share an activation's scale.
struct Rounding {
  std::int64_t activation_levels, block;
};

// sum over l of round(a factor) round(w / scale), block by block, with every scale in f32 as the kernel has it.
Doubles rounded_product(const Doubles& a, const TestWeight& weight, const std::vector<float>& scales, bool forward,
                        std::int64_t tokens, const Rounding& rounding) {
  const std::int64_t length = forward ? weight.matrix.columns : weight.matrix.rows;
  const std::int64_t outputs = forward ? weight.matrix.rows : weight.matrix.columns;
  Doubles c(static_cast<std::size_t>(tokens * outputs), 0.0);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t begin = 0; begin < length; begin += rounding.block) {
      const std::int64_t end = std::min(length, begin + rounding.block);
      std::vector<float> values;
      float most = 0.0f;
      for (std::int64_t l = begin; l < end; ++l) {
        const auto value = static_cast<float>(a[static_cast<std::size_t>(t * length + l)]);
        values.push_back(forward ? value : value * scales[static_cast<std::size_t>(l)]);
        most = std::max(most, std::abs(values.back()));
      }
      const auto levels = static_cast<float>(rounding.activation_levels);
      const float factor = most > 0.0f ? levels / most : 0.0f;
      for (std::int64_t o = 0; o < outputs; ++o) {
        double sum = 0;
        for (std::int64_t l = begin; l < end; ++l) {
          const std::int64_t row = forward ? o : l, column = forward ? l : o;
          const double w = weight.dense[static_cast<std::size_t>(row * weight.matrix.columns + column)];
          const float scale = scales[static_cast<std::size_t>(row)];
          sum += std::nearbyint(values[static_cast<std::size_t>(l - begin)] * factor) *
                 (scale > 0 ? std::nearbyint(w / scale) : 0.0);
        }
        c[static_cast<std::size_t>(t * outputs + o)] +=
            sum * most / levels * (forward ? scales[static_cast<std::size_t>(o)] : 1.0);
      }
    }
  }
  return c;
}

// A weight half-way between two codes may round either way: as far apart as a few codes are.
void expect_close(const Doubles& got, const Doubles& want, double share) {
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  EXPECT_LE(std::sqrt(error), share * std::sqrt(norm));
}

TEST(Int8Gemm, EqualsTheSameRoundingsInPlainLoops) {
  for_each_target([&] {
    for (const auto& [tokens, outputs, inputs] : {std::array<std::int64_t, 3>{1, 1, 1},
                                                  {7, 33, 65},
                                                  {13, 64, 256},
                                                  {100, 80, 320},
                                                  {6, 200, 600},
                                                  {5, 1100, 90},
                                                  {1025, 16, 64}}) {
      for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8, WeightFormat::kBF16}) {
        SCOPED_TRACE(::testing::Message() << tokens << " " << outputs << " " << inputs << " " << name_of(format));
        const TestWeight weight(outputs, inputs, format);
        std::vector<float> scales(static_cast<std::size_t>(outputs)), space(static_cast<std::size_t>(outputs) + 64);
        int8_row_scales(scales.data(), weight.matrix, code_levels(format).weights);
        const TensorView workspace{space.data(), DType::kF32, {outputs + 64}};
        Stored x(DType::kF32, {tokens, inputs}, random_normal(static_cast<std::size_t>(tokens * inputs), 1));
        Stored dy(DType::kF32, {tokens, outputs}, random_normal(static_cast<std::size_t>(tokens * outputs), 2));
        Stored y(DType::kF32, {tokens, outputs}), dx(DType::kF32, {tokens, inputs});
        int8_forward(y.view(), x.view(), weight.matrix, false, workspace);
        int8_backward_input(dx.view(), dy.view(), weight.matrix, false, workspace);
        const Rounding rounding{code_levels(format).activations, kInt8Block};
        Doubles forward = rounded_product(x.values(), weight, scales, true, tokens, rounding);
        Doubles backward = rounded_product(dy.values(), weight, scales, false, tokens, rounding);
        expect_close(y.values(), forward, 2e-3);
        expect_close(dx.values(), backward, 2e-3);
        int8_forward(y.view(), x.view(), weight.matrix, true, workspace);
        for (double& value : forward) value *= 2;
        expect_close(y.values(), forward, 2e-3);
      }
    }
  });
}

// By tiles, with a low-rank product beside it, which stays in bf16.
TEST(Int8Gemm, InTilesEqualsTheSameRoundingsInPlainLoops) {
  if (!has_int8_tiles()) GTEST_SKIP() << "this processor multiplies no tiles of 8-bit integers";
  struct Sizes {
    std::int64_t tokens, outputs, inputs;
  };
  for (const Sizes s : {Sizes{1, 160, 192}, {33, 192, 320}, {70, 161, 195}, {60, 1100, 960}, {600, 161, 320}}) {
    for (const WeightFormat format :
         {WeightFormat::kNF4, WeightFormat::kInt8, WeightFormat::kBF16, WeightFormat::kF32}) {
      for (const bool forward : {true, false}) {
        SCOPED_TRACE(::testing::Message()
                     << s.tokens << " " << s.outputs << " " << s.inputs << " " << name_of(format) << " " << forward);
        TestWeight weight(s.outputs, s.inputs, format);
        weight.matrix.int8_products = true;
        const std::int64_t length = forward ? s.inputs : s.outputs, columns = forward ? s.outputs : s.inputs;
        constexpr std::int64_t kRank = 8;
        std::vector<float> scales(static_cast<std::size_t>(s.outputs));
        int8_row_scales(scales.data(), weight.matrix, kCodeLevels);
        Stored a(DType::kBF16, {s.tokens, length}, random_normal(static_cast<std::size_t>(s.tokens * length), 1));
        Stored hidden(DType::kBF16, {s.tokens, kRank}, random_normal(static_cast<std::size_t>(s.tokens * kRank), 2));
        Stored factor(DType::kBF16, {kRank, columns}, random_normal(static_cast<std::size_t>(kRank * columns), 3));
        const std::array<GemmTerm, 2> terms = {
            GemmTerm{a.view(), false, RightOperand::of(weight.matrix, forward)},
            GemmTerm{hidden.view(), false, RightOperand::of(Matrix(factor.view()), false)}};
        Doubles want =
            rounded_product(a.values(), weight, scales, forward, s.tokens, {kCodeLevels, code_block(length)});
        Stored c(DType::kF32, {s.tokens, columns}), narrow(DType::kBF16, {s.tokens, columns});
        bf16_gemm(c.view(), std::span(terms).first(1), false);
        expect_close(c.values(), want, 1e-3);
        bf16_gemm(narrow.view(), std::span(terms).first(1), false);
        expect_close(narrow.values(), want, 5e-3);
        const Doubles h = hidden.values(), f = factor.values();
        for (std::int64_t i = 0; i < s.tokens * columns; ++i) {
          for (std::int64_t r = 0; r < kRank; ++r) {
            want[static_cast<std::size_t>(i)] += h[static_cast<std::size_t>(i / columns * kRank + r)] *
                                                 f[static_cast<std::size_t>(r * columns + i % columns)];
          }
        }
        std::vector<float> space(static_cast<std::size_t>(s.outputs + 600 * s.inputs));
        for (double& value : want) value *= 2;
        bf16_gemm(c.view(), terms, false, {space.data(), DType::kF32, {std::ssize(space)}});
        bf16_gemm(c.view(), terms, true, {space.data(), DType::kF32, {std::ssize(space)}});
        expect_close(c.values(), want, 1e-3);
      }
    }
  }
}

TEST(Int8Gemm, InTilesKeepsWhatIsNoNumber) {
  if (!has_int8_tiles()) GTEST_SKIP() << "this processor multiplies no tiles of 8-bit integers";
  TestWeight weight(160, 192, WeightFormat::kNF4);
  weight.matrix.int8_products = true;
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Doubles values = random_normal(3 * 192, 1);
    values[192 + 5] = bad;
    Stored a(DType::kBF16, {3, 192}, values);
    Stored c(DType::kF32, {3, 160});
    const GemmTerm term{a.view(), false, RightOperand::of(weight.matrix, true)};
    bf16_gemm(c.view(), {&term, 1}, false);
    const Doubles got = c.values();
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(std::isfinite(got[i]), i / 160 != 1) << i;
  }
}

TEST(Int8Gemm, InTilesDoesNotDependOnTheThreadsOrTheWorkspace) {
  if (!has_int8_tiles()) GTEST_SKIP() << "this processor multiplies no tiles of 8-bit integers";
  TestWeight weight(2000, 320, WeightFormat::kNF4);
  weight.matrix.int8_products = true;
  Stored a(DType::kBF16, {150, 2000}, random_normal(150 * 2000, 1));
  const GemmTerm term{a.view(), false, RightOperand::of(weight.matrix, false)};
  std::string bits;
  for (const std::int64_t room : {0, 2000, 400'000}) {
    std::vector<float> space(static_cast<std::size_t>(room));
    expect_independent_of_threads([&] {
      Stored c(DType::kF32, {150, 320});
      bf16_gemm(c.view(), {&term, 1}, false, {space.data(), DType::kF32, {room}});
      if (bits.empty()) bits = c.bits();
      EXPECT_TRUE(c.bits() == bits) << "room for " << room;
      return c.bits();
    });
  }
}

TEST(Int8Gemm, StaysNearTheExactProduct) {
  constexpr std::int64_t kTokens = 40, kOutputs = 96, kInputs = 512;
  const TestWeight weight(kOutputs, kInputs, WeightFormat::kNF4);
  std::vector<float> space(kOutputs);
  Stored x(DType::kF32, {kTokens, kInputs}, random_normal(kTokens * kInputs, 1)), y(DType::kF32, {kTokens, kOutputs});
  int8_forward(y.view(), x.view(), weight.matrix, false, {space.data(), DType::kF32, {kOutputs}});
  const Doubles values = x.values();
  Doubles exact(kTokens * kOutputs, 0.0);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      for (std::int64_t i = 0; i < kInputs; ++i) {
        exact[static_cast<std::size_t>(t * kOutputs + o)] +=
            values[static_cast<std::size_t>(t * kInputs + i)] * weight.dense[static_cast<std::size_t>(o * kInputs + i)];
      }
    }
  }
  expect_close(y.values(), exact, 0.015);
}

TEST(Int8Gemm, DoesNotDependOnTheThreads) {
  const TestWeight weight(130, 320, WeightFormat::kNF4);
  std::vector<float> space(130);
  Stored x(DType::kF32, {50, 320}, random_normal(50 * 320, 1));
  expect_independent_of_threads([&] {
    Stored y(DType::kF32, {50, 130});
    int8_forward(y.view(), x.view(), weight.matrix, false, {space.data(), DType::kF32, {130}});
    return y.bits();
  });
}

}  // namespace
}  // namespace attune
