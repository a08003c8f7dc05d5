// quant/ against bitsandbytes (tests/golden/nf4 and int8) and against plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "base/rng.h"
#include "format/safetensors.h"
#include "quant/int8.h"
#include "quant/nf4.h"
#include "quant/weight.h"

namespace attune {
namespace {

const fs::path kGolden = fs::path(ATTUNE_SOURCE_DIR) / "tests/golden";

struct Golden {
  SafetensorsFile file;
  TensorView operator[](const std::string& name) const {
    const StoredTensor* const tensor = file.find(name);
    if (tensor == nullptr) throw std::runtime_error("golden file lacks " + name);
    return tensor->view();
  }
  std::set<std::string> cases() const {
    std::set<std::string> names;
    for (const StoredTensor& tensor : file.tensors()) {
      if (tensor.name.ends_with(".input")) names.insert(tensor.name.substr(0, tensor.name.size() - 6));
    }
    return names;
  }
};

template <typename T>
std::vector<T> values_of(const TensorView& view) {
  return {view.as<T>(), view.as<T>() + view.elements()};
}

// All rows at once, and every single row: the same bytes as the reference, whatever the place in a block.
void expect_decodes_to(const WeightMatrix& weight, const TensorView& expected) {
  std::vector<std::byte> bytes(expected.bytes());
  const TensorView out{bytes.data(), expected.dtype, {weight.rows, weight.columns}};
  decode_rows(out, weight, 0);
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data, bytes.size()), 0);
  std::fill(bytes.begin(), bytes.end(), std::byte{0xAA});
  for (std::int64_t row = 0; row < weight.rows; ++row) decode_rows(out.slice_rows(row, 1), weight, row);
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data, bytes.size()), 0);
}

TEST(Nf4, CodesScalesAndValuesEqualBitsandbytes) {
  const Golden golden{SafetensorsFile(kGolden / "nf4/golden.safetensors")};
  const auto names = golden.cases();
  ASSERT_GE(names.size(), 20u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const TensorView input = golden[name + ".input"];
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(nf4_code_bytes(input.elements())));
    std::vector<float> absmax(static_cast<std::size_t>(nf4_blocks(input.elements())));
    ASSERT_TRUE(encode_nf4(codes, absmax, input));
    EXPECT_EQ(codes, values_of<std::uint8_t>(golden[name + ".packed"]));
    EXPECT_EQ(absmax, values_of<float>(golden[name + ".absmax"]));
    WeightMatrix weight{.format = WeightFormat::kNF4,
                        .rows = input.rows(),
                        .columns = input.columns(),
                        .data = codes.data(),
                        .absmax = absmax.data()};
    EXPECT_EQ(weight.bytes(), codes.size() + 4 * absmax.size());
    expect_decodes_to(weight, golden[name + ".dequantized"]);
  }
}

TEST(Nf4, DoubleQuantizedScalesEqualBitsandbytes) {
  const Golden golden{SafetensorsFile(kGolden / "nf4/golden.safetensors")};
  EXPECT_EQ(std::vector<float>(dynamic_map().begin(), dynamic_map().end()),
            values_of<float>(golden["nested_quant_map"]));
  EXPECT_EQ(std::vector<float>(kNf4Values.begin(), kNf4Values.end()), values_of<float>(golden["quant_map"]));
  for (const std::string& name : golden.cases()) {
    SCOPED_TRACE(name);
    const TensorView input = golden[name + ".input"], scales = golden[name + ".absmax"];
    const auto absmax = values_of<float>(scales);
    // The reference sums in f32 in an order of its own: the last bits of the mean are not part of the format.
    const float offset = golden[name + ".double.nested_offset"].as<float>()[0];
    EXPECT_NEAR(nf4_offset(absmax), offset, std::fabs(offset) * 1e-6f);
    std::vector<std::uint8_t> codes(absmax.size());
    std::vector<float> nested(static_cast<std::size_t>(nf4_nested_blocks(scales.elements())));
    encode_nf4_scales(codes, nested, absmax, offset);
    EXPECT_EQ(codes, values_of<std::uint8_t>(golden[name + ".double.absmax"]));
    EXPECT_EQ(nested, values_of<float>(golden[name + ".double.nested_absmax"]));
    WeightMatrix weight{.format = WeightFormat::kNF4,
                        .rows = input.rows(),
                        .columns = input.columns(),
                        .data = golden[name + ".packed"].data,
                        .absmax_codes = codes.data(),
                        .nested_absmax = nested.data(),
                        .nested_map = dynamic_map().data(),
                        .nested_offset = offset};
    expect_decodes_to(weight, golden[name + ".double.dequantized"]);
  }
}

TEST(Nf4, RefusesValuesThatAreNotFinite) {
  for (const float bad : {std::nanf(""), -INFINITY}) {
    for (const std::size_t at : {std::size_t{5}, std::size_t{69}}) {  // a whole block, the short last one
      std::vector<float> values(70, 0.5f);
      values[at] = bad;
      std::vector<std::uint8_t> codes(35);
      std::vector<float> absmax(2);
      EXPECT_FALSE(encode_nf4(codes, absmax, {values.data(), DType::kF32, {7, 10}}));
    }
  }
}

TEST(Int8, CodesScalesAndValuesEqualBitsandbytes) {
  const Golden golden{SafetensorsFile(kGolden / "int8/golden.safetensors")};
  const auto names = golden.cases();
  ASSERT_GE(names.size(), 8u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const TensorView input = golden[name + ".input"];
    std::vector<std::int8_t> codes(static_cast<std::size_t>(input.elements()));
    std::vector<float> scales(static_cast<std::size_t>(input.rows()));
    ASSERT_TRUE(encode_int8(codes, scales, input));
    EXPECT_EQ(codes, values_of<std::int8_t>(golden[name + ".codes"]));
    const auto absmax = values_of<float>(golden[name + ".absmax"]);
    for (std::size_t row = 0; row < scales.size(); ++row) EXPECT_EQ(scales[row], absmax[row] / 127.0f);
    const WeightMatrix weight{.format = WeightFormat::kInt8,
                              .rows = input.rows(),
                              .columns = input.columns(),
                              .data = codes.data(),
                              .row_scales = scales.data()};
    EXPECT_EQ(weight.bytes(), codes.size() + 4 * scales.size());
    expect_decodes_to(weight, golden[name + ".dequantized"]);
  }
}

TEST(Int8, ZeroRowsStayZeroAndNotFiniteOnesAreRefused) {
  std::vector<float> values(6, 0.0f), scales(2), decoded(6);
  std::vector<std::int8_t> codes(6);
  ASSERT_TRUE(encode_int8(codes, scales, {values.data(), DType::kF32, {2, 3}}));
  decode_rows(
      {decoded.data(), DType::kF32, {2, 3}},
      {.format = WeightFormat::kInt8, .rows = 2, .columns = 3, .data = codes.data(), .row_scales = scales.data()}, 0);
  EXPECT_EQ(decoded, values);
  values[4] = std::nanf("");
  EXPECT_FALSE(encode_int8(codes, scales, {values.data(), DType::kF32, {2, 3}}));
}

// Every format and output type at widths around the vector length, against the scalar conversions of tensor/.
TEST(DecodeRows, PlainFormatsEqualScalarConversions) {
  Rng rng{11, 0, 0};
  for (std::int64_t columns = 1; columns < 40; ++columns) {
    constexpr std::int64_t kRows = 3;
    const auto count = static_cast<std::size_t>(kRows * columns);
    std::vector<float> wide(count);
    std::vector<bf16> brain(count);
    std::vector<f16> half(count);
    for (std::size_t i = 0; i < count; ++i) {
      wide[i] = std::bit_cast<float>(rng.next_u32());
      if (std::isnan(wide[i])) wide[i] = std::nanf("");
      brain[i] = to_bf16(wide[i]);
      half[i] = to_f16(static_cast<float>(rng.normal()) * (i % 5 == 0 ? 1e-6f : 1.0f));
    }
    const auto check = [&](WeightFormat format, const void* data, const auto& expected) {
      const WeightMatrix weight{.format = format, .rows = kRows, .columns = columns, .data = data};
      std::vector<float> floats(count);
      std::vector<bf16> brains(count);
      decode_rows({floats.data(), DType::kF32, {1, columns}}, weight, 2);
      decode_rows({brains.data(), DType::kBF16, {kRows, columns}}, weight, 0);
      for (std::size_t i = 0; i < count; ++i) {
        const float x = expected(i);
        EXPECT_EQ(brains[i].bits, to_bf16(x).bits) << columns << " " << i;
        const std::size_t last_row = i + static_cast<std::size_t>(2 * columns);
        if (last_row < count && !std::isnan(expected(last_row))) {
          EXPECT_EQ(floats[i], expected(last_row));
        }
      }
      EXPECT_EQ(weight.bytes(), count * (format == WeightFormat::kF32 ? 4 : 2));
    };
    check(WeightFormat::kF32, wide.data(), [&](std::size_t i) { return wide[i]; });
    check(WeightFormat::kBF16, brain.data(), [&](std::size_t i) { return to_float(brain[i]); });
    check(WeightFormat::kF16, half.data(), [&](std::size_t i) { return to_float(half[i]); });
  }
}

}  // namespace
}  // namespace attune
