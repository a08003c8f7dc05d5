// One token against plain sums in f64, every format and instruction set, at lengths around a block and a vector.
#include "ops/matvec.h"

#include "ops/test_support.h"
#include "ops/test_weight.h"

namespace attune {
namespace {

TEST(Matvec, EveryFormatAgreesWithPlainSums) {
  for_each_target_and_type([&](DType type) {
    for (const std::int64_t columns : {1, 31, 64, 100, 192, 896, 4160}) {
      for (const WeightFormat format :
           {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kNF4, WeightFormat::kInt8}) {
        constexpr std::int64_t kRows = 70;
        const TestWeight weight(kRows, columns, format);
        Stored x(type, {1, columns}, random_normal(static_cast<std::size_t>(columns), 1));
        Stored y(DType::kF32, {1, kRows});
        multiply_vectors(y.view(), x.view(), weight.matrix, false);
        const Doubles values = x.values();
        Doubles want(kRows, 0.0);
        for (std::int64_t r = 0; r < kRows; ++r) {
          for (std::int64_t i = 0; i < columns; ++i) {
            want[static_cast<std::size_t>(r)] +=
                values[static_cast<std::size_t>(i)] * weight.dense[static_cast<std::size_t>(r * columns + i)];
          }
        }
        // Two fixed-point roundings of 2^-15 of the largest (about 3 deviations) per product of normal numbers.
        const bool fixed = format == WeightFormat::kNF4 || format == WeightFormat::kInt8;
        const double rounding = (fixed ? 0x1.0p-15 * 6 : 0x1.0p-22) * 5 * std::sqrt(static_cast<double>(columns));
        for (std::size_t r = 0; r < want.size(); ++r) EXPECT_NEAR(y.values()[r], want[r], rounding) << columns;
        multiply_vectors(y.view(), x.view(), weight.matrix, true);
        for (std::size_t r = 0; r < want.size(); ++r) EXPECT_NEAR(y.values()[r], 2 * want[r], 2 * rounding);
      }
    }
  });
}

TEST(Matvec, AVectorHasTheSameBitsInAnyCompany) {
  constexpr std::int64_t kVectors = 9, kOutputs = 37;
  for_each_target_and_type([](DType type) {
    for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8, WeightFormat::kBF16}) {
      const TestWeight weight(kOutputs, 192, format);
      Stored x(type, {kVectors, 192}, random_normal(kVectors * 192, 1));
      Stored all(type, {kVectors, kOutputs});
      multiply_vectors(all.view(), x.view(), weight.matrix, false);
      const std::size_t row_bytes = kOutputs * size_of(type);
      for (std::int64_t count = 1; count < kVectors; ++count) {
        for (std::int64_t first = 0; first + count <= kVectors; ++first) {
          Stored y(type, {count, kOutputs});
          multiply_vectors(y.view(), x.view().slice_rows(first, count), weight.matrix, false);
          EXPECT_TRUE(y.bits() == all.bits().substr(static_cast<std::size_t>(first) * row_bytes, y.bits().size()))
              << count << " vectors from " << first;
        }
      }
    }
  });
}

// The first of many vectors have the bits of each alone: at every count, across tiles of rows, columns and vectors.
TEST(Matvec, ManyVectorsHaveTheBitsOfEachAlone) {
  constexpr std::int64_t kMost = 70, kOutputs = 37;
  for_each_target_and_type([](DType type) {
    for (const std::int64_t columns : {64, 100, 192, 1024, 1088, 2176}) {
      for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8, WeightFormat::kBF16}) {
        const TestWeight weight(kOutputs, columns, format);
        Stored x(type, {kMost, columns}, random_normal(static_cast<std::size_t>(kMost * columns), 1));
        for (const bool accumulate : {false, true}) {
          std::string alone;
          for (std::int64_t v = 0; v < kMost; ++v) {
            Stored y(type, {1, kOutputs});
            multiply_vectors(y.view(), x.view().slice_rows(v, 1), weight.matrix, accumulate);
            alone += y.bits();
          }
          for (std::int64_t count = 1; count <= kMost; count += columns == 192 ? 1 : 23) {
            Stored y(type, {count, kOutputs});
            multiply_vectors(y.view(), x.view().slice_rows(0, count), weight.matrix, accumulate);
            EXPECT_TRUE(y.bits() == alone.substr(0, y.bits().size()))
                << count << " vectors, " << columns << " columns, " << name_of(format);
          }
        }
      }
    }
  });
}

// A block of 64 largest products fits into the integers that add it.
TEST(Matvec, TheLargestSumsFit) {
  constexpr std::int64_t kColumns = 128, kOutputs = 3;
  const std::vector<std::uint8_t> codes(kColumns * kOutputs / 2, 0xFF);  // all 1
  const std::vector<float> scales(kColumns * kOutputs / kNf4Block, 1.0f);
  const WeightMatrix weight{.format = WeightFormat::kNF4,
                            .rows = kOutputs,
                            .columns = kColumns,
                            .data = codes.data(),
                            .absmax = scales.data()};
  for_each_target_and_type([&](DType type) {
    for (const std::int64_t vectors : {1, 6}) {
      Stored x(type, {vectors, kColumns}, Doubles(static_cast<std::size_t>(vectors * kColumns), 1.0));
      Stored y(DType::kF32, {vectors, kOutputs});
      multiply_vectors(y.view(), x.view(), weight, false);
      for (const double value : y.values()) EXPECT_NEAR(value, kColumns, 1e-3);
    }
  });
}

TEST(Matvec, DoesNotDependOnTheThreads) {
  const TestWeight weight(200, 256, WeightFormat::kNF4);
  for (const std::int64_t vectors : {1, 11}) {
    Stored x(DType::kF32, {vectors, 256}, random_normal(static_cast<std::size_t>(vectors) * 256, 1));
    expect_independent_of_threads([&] {
      Stored y(DType::kF32, {vectors, 200});
      multiply_vectors(y.view(), x.view(), weight.matrix, false);
      return y.bits();
    });
  }
}

}  // namespace
}  // namespace attune
