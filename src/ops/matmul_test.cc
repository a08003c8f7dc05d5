// Products, linear layers over every weight format, LoRA and the head's loss, against plain loops in f64.
#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "ops/head_loss.h"
#include "ops/linear.h"
#include "ops/lora.h"
#include "quant/int8.h"
#include "quant/nf4.h"

namespace attune {
namespace {

// A matrix in f64 and, rounded, in the type under test; `exact` holds the rounded values.
struct Sample {
  std::int64_t rows, columns;
  DType type;
  std::vector<std::byte> stored;
  std::vector<double> exact;

  Sample(std::int64_t rows, std::int64_t columns, DType type, std::uint64_t seed)
      : rows(rows), columns(columns), type(type) {
    Rng rng{seed, 77, 0};
    stored.resize(static_cast<std::size_t>(rows * columns) * size_of(type));
    for (std::int64_t i = 0; i < rows * columns; ++i) set(i, static_cast<float>(rng.normal()));
  }
  void set(std::int64_t i, float value) {
    if (type == DType::kBF16) {
      const bf16 rounded = to_bf16(value);
      reinterpret_cast<bf16*>(stored.data())[i] = rounded;
      value = to_float(rounded);
    } else {
      reinterpret_cast<float*>(stored.data())[i] = value;
    }
    if (exact.size() <= static_cast<std::size_t>(i)) exact.resize(static_cast<std::size_t>(i) + 1);
    exact[static_cast<std::size_t>(i)] = value;
  }
  double at(std::int64_t i, std::int64_t j) const { return exact[static_cast<std::size_t>(i * columns + j)]; }
  double stored_at(std::int64_t i) const {
    return type == DType::kBF16 ? to_float(reinterpret_cast<const bf16*>(stored.data())[i])
                                : reinterpret_cast<const float*>(stored.data())[i];
  }
  TensorView view() { return {stored.data(), type, {rows, columns}}; }
};

double epsilon(DType type) { return type == DType::kBF16 ? 0x1.0p-8 : 0x1.0p-23; }

// |got - expected| <= eps(result) * |expected| + 4 eps(f32) * sqrt(terms) * sum |a||b|: the rounding of the result and
// of a sum in f32.
struct Tolerance {
  DType result;
  double operator()(double expected, double magnitude, double terms) const {
    return epsilon(result) * std::abs(expected) + 4 * epsilon(DType::kF32) * std::sqrt(terms) * magnitude + 1e-30;
  }
};

struct Case {
  DType in, out;
};

class Matmul : public testing::TestWithParam<Case> {};

TEST_P(Matmul, AllThreeFormsWithAlphaAndAccumulation) {
  const auto [in, out] = GetParam();
  for (const auto& [m, n, l] : {std::array<std::int64_t, 3>{1, 1, 1}, {3, 5, 7}, {33, 64, 31}, {64, 172, 100}}) {
    for (const bool accumulate : {false, true}) {
      for (const float alpha : {1.0f, -0.5f}) {
        Sample a(m, l, in, 1), at(l, m, in, 2), b(l, n, in, 3), bt(n, l, in, 4);
        const auto check = [&](const char* form, auto product, auto left, auto right) {
          Sample c(m, n, out, 5);
          product(c.view());
          for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) {
              double sum = 0, magnitude = 0;
              for (std::int64_t k = 0; k < l; ++k) {
                sum += left(i, k) * right(k, j);
                magnitude += std::abs(left(i, k) * right(k, j));
              }
              const double expected = alpha * sum + (accumulate ? c.at(i, j) : 0.0);
              magnitude += accumulate ? std::abs(c.at(i, j)) : 0.0;
              ASSERT_NEAR(c.stored_at(i * n + j), expected, Tolerance{out}(expected, magnitude, static_cast<double>(l)))
                  << form << " " << m << "x" << n << "x" << l << " at " << i << "," << j;
            }
          }
        };
        check(
            "matmul", [&](TensorView c) { matmul(c, a.view(), b.view(), alpha, accumulate); },
            [&](auto i, auto k) { return a.at(i, k); }, [&](auto k, auto j) { return b.at(k, j); });
        check(
            "matmul_bt", [&](TensorView c) { matmul_bt(c, a.view(), bt.view(), alpha, accumulate); },
            [&](auto i, auto k) { return a.at(i, k); }, [&](auto k, auto j) { return bt.at(j, k); });
        check(
            "matmul_at", [&](TensorView c) { matmul_at(c, at.view(), b.view(), alpha, accumulate); },
            [&](auto i, auto k) { return at.at(k, i); }, [&](auto k, auto j) { return b.at(k, j); });
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Matmul,
                         testing::Values(Case{DType::kF32, DType::kF32}, Case{DType::kBF16, DType::kBF16},
                                         Case{DType::kBF16, DType::kF32}),
                         [](const auto& info) {
                           return std::string(name_of(info.param.in)) + "_to_" + std::string(name_of(info.param.out));
                         });

TEST(MatmulBlocks, ColumnBlocksLeaveTheRestAlone) {
  Sample a(5, 6, DType::kF32, 1), b(4, 6, DType::kF32, 2), c(5, 10, DType::kF32, 3);
  matmul_bt(Matrix(c.view()).column_block(3, 4), a.view(), b.view());
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 10; ++j) {
      double expected = c.at(i, j);
      if (j >= 3 && j < 7) {
        expected = 0;
        for (std::int64_t k = 0; k < 6; ++k) expected += a.at(i, k) * b.at(j - 3, k);
      }
      EXPECT_NEAR(c.stored_at(i * 10 + j), expected, 1e-5);
    }
  }
}

TEST(MatmulErrors, ShapesThatDoNotFitAreRefused) {
  Sample a(2, 3, DType::kF32, 1), b(4, 5, DType::kF32, 2), c(2, 4, DType::kF32, 3);
  EXPECT_ANY_THROW(matmul_bt(c.view(), a.view(), b.view()));
}

// A weight in each format; `exact` is what its codes mean (decode_rows is tested against bitsandbytes in quant/).
struct StoredWeight {
  std::vector<std::byte> bytes;
  std::vector<float> scales;
  WeightMatrix matrix;
  std::vector<double> exact;

  StoredWeight(std::int64_t rows, std::int64_t columns, WeightFormat format) {
    Sample dense(rows, columns, DType::kF32, 9);
    const auto* const source = reinterpret_cast<const float*>(dense.stored.data());
    const auto count = static_cast<std::size_t>(rows * columns);
    matrix.format = format;
    matrix.rows = rows;
    matrix.columns = columns;
    if (format == WeightFormat::kF32) {
      bytes = dense.stored;
    } else {
      bytes.resize(count * 2);
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint16_t bits = format == WeightFormat::kBF16 ? to_bf16(source[i]).bits : to_f16(source[i]).bits;
        reinterpret_cast<std::uint16_t*>(bytes.data())[i] = bits;
      }
    }
    matrix.data = bytes.data();
    std::vector<float> decoded(count);
    decode_rows({decoded.data(), DType::kF32, {rows, columns}}, matrix, 0);
    exact.assign(decoded.begin(), decoded.end());
  }
};

class LinearFormats : public testing::TestWithParam<WeightFormat> {};

TEST_P(LinearFormats, ForwardAndBackwardThroughTilesOfAnySize) {
  constexpr std::int64_t kTokens = 7, kIn = 33, kOut = 21;
  StoredWeight weight(kOut, kIn, GetParam());
  Sample x(kTokens, kIn, DType::kF32, 1), dy(kTokens, kOut, DType::kF32, 2), bias(1, kOut, DType::kF32, 3);
  for (const std::int64_t tile_rows : {1, 4, 21, 100}) {
    std::vector<float> tile(static_cast<std::size_t>(tile_rows * kIn));
    const TensorView scratch{tile.data(), DType::kF32, {tile_rows * kIn}};
    for (const GradientMode mode : {GradientMode::kOverwrite, GradientMode::kAccumulate}) {
      const double before = mode == GradientMode::kAccumulate ? 1.0 : 0.0;
      Sample y(kTokens, kOut, DType::kF32, 4), dx(kTokens, kIn, DType::kF32, 5);
      linear_forward(y.view(), x.view(), weight.matrix, {bias.stored.data(), DType::kF32, {kOut}}, scratch, mode);
      linear_backward_input(dx.view(), mode, dy.view(), weight.matrix, scratch);
      for (std::int64_t t = 0; t < kTokens; ++t) {
        for (std::int64_t o = 0; o < kOut; ++o) {
          double expected = before * y.at(t, o) + bias.at(0, o);
          for (std::int64_t i = 0; i < kIn; ++i)
            expected += x.at(t, i) * weight.exact[static_cast<std::size_t>(o * kIn + i)];
          ASSERT_NEAR(y.stored_at(t * kOut + o), expected, 2e-5);
        }
        for (std::int64_t i = 0; i < kIn; ++i) {
          double expected = before * dx.at(t, i);
          for (std::int64_t o = 0; o < kOut; ++o)
            expected += dy.at(t, o) * weight.exact[static_cast<std::size_t>(o * kIn + i)];
          ASSERT_NEAR(dx.stored_at(t * kIn + i), expected, 2e-5);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LinearFormats,
                         testing::Values(WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kF16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(Linear, WeightAndBiasGradientsAccumulate) {
  constexpr std::int64_t kTokens = 9, kIn = 5, kOut = 70;
  for (const DType act : {DType::kF32, DType::kBF16}) {
    Sample x(kTokens, kIn, act, 1), dy(kTokens, kOut, act, 2), dw(kOut, kIn, DType::kF32, 3),
        db(1, kOut, DType::kF32, 4);
    linear_backward_weight(dw.view(), {db.stored.data(), DType::kF32, {kOut}}, dy.view(), x.view());
    for (std::int64_t o = 0; o < kOut; ++o) {
      double bias = db.at(0, o);
      for (std::int64_t t = 0; t < kTokens; ++t) bias += dy.at(t, o);
      EXPECT_NEAR(db.stored_at(o), bias, 1e-5);
      for (std::int64_t i = 0; i < kIn; ++i) {
        double expected = dw.at(o, i);
        for (std::int64_t t = 0; t < kTokens; ++t) expected += dy.at(t, o) * x.at(t, i);
        EXPECT_NEAR(dw.stored_at(o * kIn + i), expected, 1e-5);
      }
    }
  }
}

// Central differences in f64 of sum(dy * y) would only test the formula; the formula is the test here, written in f64.
TEST(Lora, ForwardAndGradientsAreTheFormula) {
  constexpr std::int64_t kTokens = 6, kIn = 19, kOut = 11, kRank = 3;
  constexpr float kScale = 1.7f;
  for (const float drop : {0.0f, 0.4f}) {
    Sample x(kTokens, kIn, DType::kF32, 1), a(kRank, kIn, DType::kF32, 2), b(kOut, kRank, DType::kF32, 3);
    Sample y(kTokens, kOut, DType::kF32, 4), dy(kTokens, kOut, DType::kF32, 5), dx(kTokens, kIn, DType::kF32, 6);
    Sample hidden(kTokens, kRank, DType::kF32, 7), da(kRank, kIn, DType::kF32, 8), db(kOut, kRank, DType::kF32, 9);
    std::vector<float> input(kTokens * kIn), dhidden(kTokens * kRank), ones(kTokens * kIn, 1.0f),
        mask(kTokens * kIn, 1.0f);
    const TensorView scratch{input.data(), DType::kF32, {kTokens, kIn}};
    const TensorView dhidden_view{dhidden.data(), DType::kF32, {kTokens, kRank}};
    const LoraParams params{kScale, drop, {1, 2}};
    const Shape shape{kTokens, kIn};
    if (drop > 0) dropout({mask.data(), DType::kF32, shape}, {ones.data(), DType::kF32, shape}, drop, params.key);
    lora_forward(y.view(), hidden.view(), x.view(), a.view(), b.view(), params, scratch);
    lora_backward_pair(dhidden_view, da.view(), db.view(), dy.view(), x.view(), hidden.view(), b.view(), params,
                       scratch);
    lora_backward_input(dx.view(), dhidden_view, a.view(), params, scratch);

    const auto kept = [&](std::int64_t t, std::int64_t i) {
      return static_cast<double>(mask[static_cast<std::size_t>(t * kIn + i)]);
    };
    std::vector<double> h(kTokens * kRank), dh(kTokens * kRank);
    for (std::int64_t t = 0; t < kTokens; ++t) {
      for (std::int64_t r = 0; r < kRank; ++r) {
        for (std::int64_t i = 0; i < kIn; ++i)
          h[static_cast<std::size_t>(t * kRank + r)] += x.at(t, i) * kept(t, i) * a.at(r, i);
        for (std::int64_t o = 0; o < kOut; ++o)
          dh[static_cast<std::size_t>(t * kRank + r)] += kScale * dy.at(t, o) * b.at(o, r);
      }
      for (std::int64_t o = 0; o < kOut; ++o) {
        double expected = y.at(t, o);
        for (std::int64_t r = 0; r < kRank; ++r)
          expected += kScale * h[static_cast<std::size_t>(t * kRank + r)] * b.at(o, r);
        EXPECT_NEAR(y.stored_at(t * kOut + o), expected, 1e-4);
      }
      for (std::int64_t i = 0; i < kIn; ++i) {
        double expected = dx.at(t, i);
        for (std::int64_t r = 0; r < kRank; ++r)
          expected += dh[static_cast<std::size_t>(t * kRank + r)] * a.at(r, i) * kept(t, i);
        EXPECT_NEAR(dx.stored_at(t * kIn + i), expected, 1e-4);
      }
    }
    for (std::int64_t r = 0; r < kRank; ++r) {
      for (std::int64_t i = 0; i < kIn; ++i) {
        double expected = da.at(r, i);
        for (std::int64_t t = 0; t < kTokens; ++t)
          expected += dh[static_cast<std::size_t>(t * kRank + r)] * x.at(t, i) * kept(t, i);
        EXPECT_NEAR(da.stored_at(r * kIn + i), expected, 1e-4);
      }
      for (std::int64_t o = 0; o < kOut; ++o) {
        double expected = db.at(o, r);
        for (std::int64_t t = 0; t < kTokens; ++t)
          expected += kScale * dy.at(t, o) * h[static_cast<std::size_t>(t * kRank + r)];
        EXPECT_NEAR(db.stored_at(o * kRank + r), expected, 1e-4);
      }
    }
  }
}

TEST_P(LinearFormats, LoraJoinsTheLayersProducts) {
  constexpr std::int64_t kTokens = 5, kIn = 70, kOut = 131, kRank = 3;
  StoredWeight weight(kOut, kIn, GetParam());
  Sample x(kTokens, kIn, DType::kF32, 1), dy(kTokens, kOut, DType::kF32, 2), a(kRank, kIn, DType::kF32, 3),
      b(kOut, kRank, DType::kF32, 4), dhidden(kTokens, kRank, DType::kF32, 5);
  std::vector<float> tile(kOut * kIn);
  const TensorView scratch{tile.data(), DType::kF32, {kOut * kIn}};
  const auto exact = [&](std::int64_t o, std::int64_t i) {
    return weight.exact[static_cast<std::size_t>(o * kIn + i)];
  };
  for (const GradientMode mode : {GradientMode::kOverwrite, GradientMode::kAccumulate}) {
    const double before = mode == GradientMode::kAccumulate ? 1.0 : 0.0;
    Sample y(kTokens, kOut, DType::kF32, 6), hidden(kTokens, kRank, DType::kF32, 7), dx(kTokens, kIn, DType::kF32, 8);
    lora_linear_forward(y.view(), hidden.view(), x.view(), weight.matrix, {}, scratch, mode, a.view(), b.view(), {1.7f},
                        {});
    lora_linear_backward_input(dx.view(), mode, dy.view(), weight.matrix, scratch, dhidden.view(), a.view(), {});
    for (std::int64_t t = 0; t < kTokens; ++t) {
      std::vector<double> h(kRank);
      for (std::int64_t r = 0; r < kRank; ++r) {
        for (std::int64_t i = 0; i < kIn; ++i) h[static_cast<std::size_t>(r)] += x.at(t, i) * a.at(r, i);
      }
      for (std::int64_t o = 0; o < kOut; ++o) {
        double expected = before * y.at(t, o);
        for (std::int64_t i = 0; i < kIn; ++i) expected += x.at(t, i) * exact(o, i);
        for (std::int64_t r = 0; r < kRank; ++r) expected += 1.7f * h[static_cast<std::size_t>(r)] * b.at(o, r);
        ASSERT_NEAR(y.stored_at(t * kOut + o), expected, 1e-4);
      }
      for (std::int64_t i = 0; i < kIn; ++i) {
        double expected = before * dx.at(t, i);
        for (std::int64_t o = 0; o < kOut; ++o) expected += dy.at(t, o) * exact(o, i);
        for (std::int64_t r = 0; r < kRank; ++r) expected += dhidden.at(t, r) * a.at(r, i);
        ASSERT_NEAR(dx.stored_at(t * kIn + i), expected, 1e-4);
      }
    }
  }
}

TEST(HeadLoss, ChunksGiveTheLossAndGradientsOfTheWhole) {
  constexpr std::int64_t kTokens = 50, kHidden = 12, kVocab = 37;
  Sample x(kTokens, kHidden, DType::kF32, 1), w(kVocab, kHidden, DType::kF32, 2);
  std::vector<std::int32_t> targets(kTokens);
  for (std::int64_t t = 0; t < kTokens; ++t)
    targets[static_cast<std::size_t>(t)] = t % 3 == 0 ? kNoTarget : static_cast<std::int32_t>(t * 7 % kVocab);
  WeightMatrix weight;
  weight.rows = kVocab;
  weight.columns = kHidden;
  weight.data = w.stored.data();

  double loss = 0;
  std::vector<double> dx(kTokens * kHidden), dw(kVocab * kHidden);
  std::int64_t trained = 0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    const std::int32_t target = targets[static_cast<std::size_t>(t)];
    if (target == kNoTarget) continue;
    ++trained;
    std::vector<double> p(kVocab);
    double sum = 0;
    for (std::int64_t v = 0; v < kVocab; ++v) {
      for (std::int64_t i = 0; i < kHidden; ++i) p[static_cast<std::size_t>(v)] += x.at(t, i) * w.at(v, i);
      sum += std::exp(p[static_cast<std::size_t>(v)]);
    }
    loss += std::log(sum) - p[static_cast<std::size_t>(target)];
    for (std::int64_t v = 0; v < kVocab; ++v) {
      const double d = std::exp(p[static_cast<std::size_t>(v)]) / sum - (v == target);
      for (std::int64_t i = 0; i < kHidden; ++i) {
        dx[static_cast<std::size_t>(t * kHidden + i)] += d * w.at(v, i);
        dw[static_cast<std::size_t>(v * kHidden + i)] += d * x.at(t, i);
      }
    }
  }
  for (const std::int64_t chunk : {1, 5, 32, 50}) {
    std::vector<float> rows(chunk * kHidden), logits(chunk * kVocab), losses(chunk), got_dx(kTokens * kHidden),
        got_dw(kVocab * kHidden);
    std::vector<float> token_losses(kTokens);
    std::vector<std::int32_t> chunk_targets(chunk);
    const HeadLossScratch scratch{{rows.data(), DType::kF32, {chunk, kHidden}},
                                  {logits.data(), DType::kF32, {chunk, kVocab}},
                                  {chunk_targets.data(), DType::kI32, {chunk}},
                                  {losses.data(), DType::kF32, {chunk}},
                                  {}};
    const TensorView all_targets{targets.data(), DType::kI32, {kTokens}};
    const HeadLoss forward =
        head_loss_forward({token_losses.data(), DType::kF32, {kTokens}}, x.view(), weight, all_targets, scratch);
    const HeadLoss backward =
        head_loss_backward({got_dx.data(), DType::kF32, {kTokens, kHidden}},
                           {got_dw.data(), DType::kF32, {kVocab, kHidden}}, x.view(), weight, all_targets, scratch);
    EXPECT_NEAR(forward.sum, loss, 1e-4);
    EXPECT_NEAR(backward.sum, loss, 1e-4);
    EXPECT_EQ(forward.tokens, trained);
    double sum = 0;
    for (std::int64_t t = 0; t < kTokens; ++t) {
      sum += token_losses[static_cast<std::size_t>(t)];
      if (t % 3 == 0) {
        EXPECT_EQ(token_losses[static_cast<std::size_t>(t)], 0.0f);
      }
    }
    EXPECT_NEAR(sum, loss, 1e-4);
    for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(got_dx[i], dx[i], 1e-5);
    for (std::size_t i = 0; i < dw.size(); ++i) ASSERT_NEAR(got_dw[i], dw[i], 1e-4);
  }
}

}  // namespace
}  // namespace attune
