// The products of generation: right, and the same bits for a row whatever stands beside it.
#include "ops/rows_linear.h"

#include "ops/linear.h"
#include "ops/test_support.h"
#include "ops/test_weight.h"
#include "quant/blocks.h"

namespace attune {
namespace {

constexpr std::int64_t kInputs = 71, kOutputs = 37;  // whole register blocks and leftovers

Doubles product(const Doubles& x, const Doubles& w, std::int64_t rows, std::int64_t inputs = kInputs) {
  Doubles y(static_cast<std::size_t>(rows * kOutputs));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      double& sum = y[static_cast<std::size_t>(r * kOutputs + o)];
      for (std::int64_t i = 0; i < inputs; ++i) {
        sum += x[static_cast<std::size_t>(r * inputs + i)] * w[static_cast<std::size_t>(o * inputs + i)];
      }
    }
  }
  return y;
}

TEST(RowsLinear, MatchesTheDefinition) {
  for_each_target_and_type([](DType type) {
    for (const DType stored : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const std::int64_t rows : {1, 2, 3, 4, 7, 9, 19}) {
        Stored x(type, {rows, kInputs}, random_normal(static_cast<std::size_t>(rows * kInputs), 1));
        Stored w(stored, {kOutputs, kInputs}, random_normal(kOutputs * kInputs, 2));
        const Doubles want = product(x.values(), w.values(), rows);
        Stored y(DType::kF32, {rows, kOutputs});
        rows_matmul_bt(y.view(), x.view(), w.view());
        expect_near(y.values(), want, DType::kF32, 20, 30, "overwritten");
        Stored sum(type, {rows, kOutputs});
        rows_matmul_bt(sum.view(), x.view(), w.view(), 0.5f, GradientMode::kAccumulate);
        Doubles accumulated = want;
        for (double& value : accumulated) value = 7 + 0.5 * value;
        expect_near(sum.values(), accumulated, type, 20, 30, "accumulated");
      }
    }
  });
}

TEST(RowsLinear, ARowHasTheSameBitsInAnyCompany) {
  constexpr std::int64_t kRows = 9;
  for_each_target_and_type([](DType type) {
    Stored x(type, {kRows, kInputs}, random_normal(kRows * kInputs, 1));
    Stored w(type, {kOutputs, kInputs}, random_normal(kOutputs * kInputs, 2));
    Stored all(type, {kRows, kOutputs});
    rows_matmul_bt(all.view(), x.view(), w.view());
    const std::size_t row_bytes = kOutputs * size_of(type);
    for (std::int64_t count = 1; count < kRows; ++count) {
      for (std::int64_t first = 0; first + count <= kRows; ++first) {
        Stored y(type, {count, kOutputs});
        rows_matmul_bt(y.view(), x.view().slice_rows(first, count), w.view());
        EXPECT_TRUE(y.bits() == all.bits().substr(static_cast<std::size_t>(first) * row_bytes, y.bits().size()))
            << count << " rows from " << first;
      }
    }
    expect_independent_of_threads([&] {
      Stored y(type, {kRows, kOutputs});
      rows_matmul_bt(y.view(), x.view(), w.view());
      return y.bits();
    });
  });
}

// Many rows pass by tiles of the weight: every one has the bits that it has alone.
TEST(RowsLinear, ManyRowsHaveTheBitsOfEachAlone) {
  constexpr std::int64_t kMost = 61, kWide = 583, kMany = 101;  // more than one tile of inputs and of outputs
  for_each_target_and_type([](DType type) {
    for (const DType stored : {DType::kF32, DType::kBF16}) {
      for (const std::int64_t inputs : {std::int64_t{16}, kWide}) {
        Stored x(type, {kMost, inputs}, random_normal(static_cast<std::size_t>(kMost * inputs), 1));
        Stored w(stored, {kMany, inputs}, random_normal(static_cast<std::size_t>(kMany * inputs), 2));
        const auto product = [&](std::int64_t first, std::int64_t count) {
          Stored y(type, {count, kMany});
          rows_matmul_bt(y.view(), x.view().slice_rows(first, count), w.view(), 0.5f, GradientMode::kAccumulate);
          return y.bits();
        };
        std::string alone;
        for (std::int64_t row = 0; row < kMost; ++row) alone += product(row, 1);
        for (std::int64_t count = 2; count <= kMost; ++count) {
          const std::string together = product(0, count);
          EXPECT_TRUE(together == alone.substr(0, together.size())) << count << " rows of " << inputs;
        }
      }
    }
  });
}

TEST(RowsLinear, SingleRowsAndBlocksAgreeWithTheLayer) {
  constexpr std::int64_t kRows = 40;
  Stored x(DType::kF32, {kRows, kInputs}, random_normal(kRows * kInputs, 1));
  Stored w(DType::kBF16, {kOutputs, kInputs}, random_normal(kOutputs * kInputs, 2), 0);
  Stored bias(DType::kF32, {kOutputs}, random_normal(kOutputs, 3));
  const WeightMatrix weight{.format = WeightFormat::kBF16, .rows = kOutputs, .columns = kInputs, .data = w.view().data};
  std::vector<float> tile(kInputs * 5);
  const TensorView scratch{tile.data(), DType::kF32, {kInputs * 5}};
  Stored want(DType::kF32, {kRows, kOutputs}), got(DType::kF32, {kRows, kOutputs});
  linear_forward(want.view(), x.view(), weight, bias.view(), scratch);
  const std::vector<RowRange> blocks = {{4, 16}, {20, 20}};
  rows_linear(got.view(), x.view(), weight, bias.view(), scratch, 4, blocks);
  expect_near(got.values(), want.values(), DType::kF32, 20, 30, "three ranges");

  // Rows outside the ranges stay, and a block does not feel the others.
  Stored alone(DType::kF32, {kRows, kOutputs});
  rows_linear(alone.view(), x.view(), weight, bias.view(), scratch, 0, std::span(blocks).last(1));
  EXPECT_EQ(alone.values().front(), 7.0);
  const std::size_t begin = 20 * kOutputs * sizeof(float);
  EXPECT_TRUE(alone.bits().substr(begin) == got.bits().substr(begin));
}

// Codes know no blocks: single rows and those of blocks are multiplied alike, whatever lies between them.
TEST(RowsLinear, RowsOfCodesHaveTheBitsOfEachAlone) {
  constexpr std::int64_t kRows = 90, kWide = 192;
  for_each_target_and_type([](DType type) {
    for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8}) {
      const TestWeight weight(kOutputs, kWide, format);
      Stored x(type, {kRows, kWide}, random_normal(kRows * kWide, 1)),
          bias(DType::kF32, {kOutputs}, random_normal(kOutputs, 3));
      Stored y(type, {kRows, kOutputs}), alone(type, {kRows, kOutputs});
      const std::vector<RowRange> blocks = {{4, 16}, {20, 48}, {72, 16}};
      rows_linear(y.view(), x.view(), weight.matrix, bias.view(), {}, 4, blocks);
      for (std::int64_t row = 0; row < kRows; ++row) {
        if (row >= 88 || (row >= 68 && row < 72)) continue;  // in no range: sevens
        rows_linear(alone.view().slice_rows(row, 1), x.view().slice_rows(row, 1), weight.matrix, bias.view(), {}, 1,
                    {});
      }
      EXPECT_TRUE(y.bits() == alone.bits()) << name_of(format);
    }
  });
}

TEST(RowsLinear, ReadsWeightsInBlocks) {
  constexpr std::int64_t kRows = 3, kWide = 256;
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ4_0, WeightFormat::kQ5_0, WeightFormat::kQ4K,
                                    WeightFormat::kQ5K, WeightFormat::kQ6K}) {
    SCOPED_TRACE(name_of(format));
    Stored source(DType::kF32, {kOutputs, kWide}, random_normal(kOutputs * kWide, 2));
    const BlockLayout layout = block_layout(format).value();
    std::vector<std::uint8_t> blocks(static_cast<std::size_t>(kOutputs * kWide / layout.elements * layout.bytes));
    ASSERT_TRUE(encode_block_rows(blocks, format, source.view()));
    const WeightMatrix weight{.format = format, .rows = kOutputs, .columns = kWide, .data = blocks.data()};
    Stored decoded(DType::kF32, {kOutputs, kWide});
    decode_rows(decoded.view(), weight, 0);
    Stored x(DType::kF32, {kRows, kWide}, random_normal(kRows * kWide, 1)), y(DType::kF32, {kRows, kOutputs});
    std::vector<float> tile(kWide * 5);
    rows_linear(y.view(), x.view(), weight, {}, {tile.data(), DType::kF32, {kWide * 5}}, kRows, {});
    expect_near(y.values(), product(x.values(), decoded.values(), kRows, kWide), DType::kF32, 20, 256, "blocks");
  }
}

}  // namespace
}  // namespace attune
