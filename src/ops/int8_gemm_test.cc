// The 8-bit products against the same roundings in plain loops, and against the exact products within what 8 bits leave.
#include "ops/int8_gemm.h"

#include "ops/test_support.h"
#include "ops/test_weight.h"

namespace attune {
namespace {

// sum over l of round(a factor) round(w / scale), block by block, with every scale in f32 as the kernel has it.
Doubles rounded_product(const Doubles& a, const TestWeight& weight, const std::vector<float>& scales, bool forward,
                        std::int64_t tokens) {
  const std::int64_t length = forward ? weight.matrix.columns : weight.matrix.rows;
  const std::int64_t outputs = forward ? weight.matrix.rows : weight.matrix.columns;
  Doubles c(static_cast<std::size_t>(tokens * outputs), 0.0);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t begin = 0; begin < length; begin += kInt8Block) {
      const std::int64_t end = std::min(length, begin + kInt8Block);
      std::vector<float> values;
      float most = 0.0f;
      for (std::int64_t l = begin; l < end; ++l) {
        const auto value = static_cast<float>(a[static_cast<std::size_t>(t * length + l)]);
        values.push_back(forward ? value : value * scales[static_cast<std::size_t>(l)]);
        most = std::max(most, std::abs(values.back()));
      }
      const auto levels = static_cast<float>(code_levels(weight.matrix.format).activations);
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
        int8_row_scales(scales.data(), weight.matrix);
        const TensorView workspace{space.data(), DType::kF32, {outputs + 64}};
        Stored x(DType::kF32, {tokens, inputs}, random_normal(static_cast<std::size_t>(tokens * inputs), 1));
        Stored dy(DType::kF32, {tokens, outputs}, random_normal(static_cast<std::size_t>(tokens * outputs), 2));
        Stored y(DType::kF32, {tokens, outputs}), dx(DType::kF32, {tokens, inputs});
        int8_forward(y.view(), x.view(), weight.matrix, false, workspace);
        int8_backward_input(dx.view(), dy.view(), weight.matrix, false, workspace);
        Doubles forward = rounded_product(x.values(), weight, scales, true, tokens);
        Doubles backward = rounded_product(dy.values(), weight, scales, false, tokens);
        expect_close(y.values(), forward, 2e-3);
        expect_close(dx.values(), backward, 2e-3);
        int8_forward(y.view(), x.view(), weight.matrix, true, workspace);
        for (double& value : forward) value *= 2;
        expect_close(y.values(), forward, 2e-3);
      }
    }
  });
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
