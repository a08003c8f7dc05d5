// ggml's block formats: codes and values against ggml's own (tests/golden/ggml), and what must hold for any input.
#include "quant/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "format/safetensors.h"

namespace attune {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::kQ8_0, WeightFormat::kQ4_0, WeightFormat::kQ5_0,
                                     WeightFormat::kQ4K,  WeightFormat::kQ5K,  WeightFormat::kQ6K};

std::vector<float> normal_values(std::size_t count, double deviation = 0.05) {
  Rng rng{.seed = 7};
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng.normal() * deviation);
  return values;
}

std::vector<std::uint8_t> encoded(WeightFormat format, const std::vector<float>& values) {
  const BlockLayout layout = block_layout(format).value();
  const auto count = std::ssize(values) / layout.elements;
  std::vector<std::uint8_t> blocks(static_cast<std::size_t>(count * layout.bytes));
  encode_blocks(blocks.data(), format, values.data(), count);
  return blocks;
}

std::vector<float> decoded(WeightFormat format, const std::vector<std::uint8_t>& blocks) {
  const BlockLayout layout = block_layout(format).value();
  const auto count = std::ssize(blocks) / layout.bytes;
  std::vector<float> values(static_cast<std::size_t>(count * layout.elements));
  decode_blocks(values.data(), format, blocks.data(), count);
  return values;
}

class Blocks : public testing::TestWithParam<WeightFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, Blocks, testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Blocks, DecodesAsGgmlDoes) {
  const SafetensorsFile golden(fs::path(ATTUNE_SOURCE_DIR) / "tests/golden/ggml/golden.safetensors");
  const std::string name(name_of(GetParam()));
  const StoredTensor &blocks = *golden.find(name + ".blocks"), &values = *golden.find(name + ".values");
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(blocks.bytes.data());
  const std::vector<float> ours = decoded(GetParam(), {bytes, bytes + blocks.bytes.size()});
  ASSERT_EQ(ours.size() * sizeof(float), values.bytes.size());
  for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_EQ(ours[i], values.view().as<float>()[i]) << i;
}

TEST_P(Blocks, EncodesAsGgmlDoes) {
  const SafetensorsFile golden(fs::path(ATTUNE_SOURCE_DIR) / "tests/golden/ggml/golden.safetensors");
  const StoredTensor &source = *golden.find("source"),
                     &blocks = *golden.find(std::string(name_of(GetParam())) + ".blocks");
  const float* const values = source.view().as<float>();
  const std::vector<std::uint8_t> ours = encoded(GetParam(), {values, values + source.view().elements()});
  ASSERT_EQ(ours.size(), blocks.bytes.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(int{ours[i]}, static_cast<int>(blocks.bytes[i])) << "byte " << i;
  }
}

TEST_P(Blocks, ErrorIsWithinTheStepOfTheGrid) {
  // The root mean square error of normal values, relative to their deviation; the limits are a sixth above what ggml's
  // own encoders give (tests/golden/make_ggml.py prints it).
  const double limit = GetParam() == WeightFormat::kQ8_0   ? 0.0062
                       : GetParam() == WeightFormat::kQ4_0 ? 0.095
                       : GetParam() == WeightFormat::kQ5_0 ? 0.049
                       : GetParam() == WeightFormat::kQ4K  ? 0.081
                       : GetParam() == WeightFormat::kQ5K  ? 0.042
                                                           : 0.021;
  const std::vector<float> values = normal_values(64 * 256);
  const std::vector<float> back = decoded(GetParam(), encoded(GetParam(), values));
  double error = 0, power = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(back[i] - values[i], 2);
    power += std::pow(values[i], 2);
  }
  EXPECT_LT(std::sqrt(error / power), limit);
}

TEST_P(Blocks, Bf16IsTheRoundedValue) {
  const std::vector<std::uint8_t> blocks = encoded(GetParam(), normal_values(8 * 256));
  const std::vector<float> wide = decoded(GetParam(), blocks);
  std::vector<bf16> narrow(wide.size());
  decode_blocks(narrow.data(), GetParam(), blocks.data(), std::ssize(blocks) / block_layout(GetParam())->bytes);
  for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(narrow[i].bits, to_bf16(wide[i]).bits) << i;
}

TEST_P(Blocks, ZerosStayZeros) {
  const std::vector<float> zeros(512);
  for (const float value : decoded(GetParam(), encoded(GetParam(), zeros))) ASSERT_EQ(value, 0.0f);
}

TEST_P(Blocks, RowsAreThoseOfAMatrix) {
  constexpr std::int64_t kRows = 5, kColumns = 512;
  const std::vector<float> values = normal_values(kRows * kColumns);
  std::vector<bf16> half(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) half[i] = to_bf16(values[i]);
  const BlockLayout layout = block_layout(GetParam()).value();
  std::vector<std::uint8_t> blocks(static_cast<std::size_t>(values.size()) / static_cast<std::size_t>(layout.elements) *
                                   static_cast<std::size_t>(layout.bytes));
  ASSERT_TRUE(encode_block_rows(blocks, GetParam(), {half.data(), DType::kBF16, {kRows, kColumns}}));
  const WeightMatrix matrix{.format = GetParam(), .rows = kRows, .columns = kColumns, .data = blocks.data()};
  EXPECT_EQ(matrix.bytes(), blocks.size());
  const std::vector<float> all = decoded(GetParam(), blocks);
  std::vector<float> rows(2 * kColumns);
  decode_rows({rows.data(), DType::kF32, {2, kColumns}}, matrix, 3);
  for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i], all[3 * kColumns + i]);
}

TEST_P(Blocks, RefusesWhatIsNoNumber) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values = normal_values(512);
    values[300] = bad;
    std::vector<std::uint8_t> blocks(512 * 2);
    const BlockLayout layout = block_layout(GetParam()).value();
    blocks.resize(static_cast<std::size_t>(512 / layout.elements * layout.bytes));
    EXPECT_FALSE(encode_block_rows(blocks, GetParam(), {values.data(), DType::kF32, {1, 512}}));
  }
}

}  // namespace
}  // namespace attune
