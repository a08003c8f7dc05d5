// Random weights in every storage format, for the tests of products.
#pragma once

#include <vector>

#include "ops/test_support.h"
#include "quant/int8.h"
#include "quant/nf4.h"
#include "quant/weight.h"

namespace attune {

// A weight in some format and what its codes mean.
struct TestWeight {
  std::vector<std::uint8_t> codes;
  std::vector<std::int8_t> bytes;
  std::vector<float> scales;
  std::vector<bf16> halves;
  Doubles dense;
  std::vector<float> floats;
  WeightMatrix matrix;

  TestWeight(std::int64_t rows, std::int64_t columns, WeightFormat format) {
    const auto count = static_cast<std::size_t>(rows * columns);
    const Doubles drawn = random_normal(count, 3);
    floats.assign(drawn.begin(), drawn.end());
    const TensorView source{floats.data(), DType::kF32, {rows, columns}};
    matrix = {.format = format, .rows = rows, .columns = columns, .data = floats.data()};
    if (format == WeightFormat::kBF16) {
      for (const float value : floats) halves.push_back(to_bf16(value));
      matrix.data = halves.data();
    } else if (format == WeightFormat::kNF4) {
      codes.resize(static_cast<std::size_t>(nf4_code_bytes(source.elements())));
      scales.resize(static_cast<std::size_t>(nf4_blocks(source.elements())));
      EXPECT_TRUE(encode_nf4(codes, scales, source));
      matrix.data = codes.data();
      matrix.absmax = scales.data();
    } else if (format == WeightFormat::kInt8) {
      bytes.resize(count);
      scales.resize(static_cast<std::size_t>(rows));
      EXPECT_TRUE(encode_int8(bytes, scales, source));
      matrix.data = bytes.data();
      matrix.row_scales = scales.data();
    }
    std::vector<float> decoded(count);
    decode_rows({decoded.data(), DType::kF32, {rows, columns}}, matrix, 0);
    dense.assign(decoded.begin(), decoded.end());
  }
};

}  // namespace attune
