#include "quant/weight.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "quant/blocks.h"
#include "quant/kernels.h"
#include "quant/nf4.h"

namespace attune {
namespace {

constexpr std::int64_t kScaleGroup = 128;  // blocks whose scales are expanded at a time

// Elements [begin, end) of block `block`, which may be the short last one.
template <typename Out>
void decode_partial(Out* out, const WeightMatrix& weight, std::int64_t block, std::int64_t begin, std::int64_t end) {
  const std::int64_t first_byte = block * (kNf4Block / 2);
  const std::int64_t stored = nf4_code_bytes(weight.rows * weight.columns) - first_byte;
  std::array<std::uint8_t, kNf4Block / 2> codes{};
  std::memcpy(codes.data(), static_cast<const std::uint8_t*>(weight.data) + first_byte,
              static_cast<std::size_t>(std::min<std::int64_t>(stored, kNf4Block / 2)));
  float scale;
  nf4_scales(&scale, weight, block, 1);
  std::array<Out, kNf4Block> values;
  decode_nf4_blocks(values.data(), codes.data(), &scale, 1);
  std::copy(values.begin() + begin, values.begin() + end, out);
}

// Elements [begin, end) of the flattened matrix. Blocks may straddle rows, so ends may lie inside a block.
template <typename Out>
void decode_nf4(Out* out, const WeightMatrix& weight, std::int64_t begin, std::int64_t end) {
  if (begin % kNf4Block != 0) {
    const std::int64_t block = begin / kNf4Block, first = begin % kNf4Block;
    const std::int64_t count = std::min(kNf4Block - first, end - begin);
    decode_partial(out, weight, block, first, first + count);
    out += count;
    begin += count;
  }
  std::array<float, kScaleGroup> scales;
  const auto* const codes = static_cast<const std::uint8_t*>(weight.data);
  while (end - begin >= kNf4Block) {
    const std::int64_t block = begin / kNf4Block;
    const std::int64_t count = std::min(kScaleGroup, (end - begin) / kNf4Block);
    nf4_scales(scales.data(), weight, block, count);
    decode_nf4_blocks(out, codes + block * (kNf4Block / 2), scales.data(), count);
    out += count * kNf4Block;
    begin += count * kNf4Block;
  }
  if (begin < end) decode_partial(out, weight, begin / kNf4Block, 0, end - begin);
}

// The same for the block formats of ggml.
void decode_block_span(float* out, const WeightMatrix& weight, std::int64_t begin, std::int64_t end) {
  const BlockLayout layout = block_layout(weight.format).value();
  const auto* const blocks = static_cast<const std::uint8_t*>(weight.data);
  std::array<float, kMostBlockElements> values;
  while (begin < end) {
    const std::int64_t block = begin / layout.elements, first = begin % layout.elements;
    const std::int64_t whole = (end - begin) / layout.elements;
    if (first == 0 && whole > 0) {
      decode_blocks(out, weight.format, blocks + block * layout.bytes, whole);
      out += whole * layout.elements;
      begin += whole * layout.elements;
      continue;
    }
    const std::int64_t count = std::min(layout.elements - first, end - begin);
    decode_blocks(values.data(), weight.format, blocks + block * layout.bytes, 1);
    out = std::copy_n(values.begin() + first, count, out);
    begin += count;
  }
}

template <typename Out>
void decode(Out* out, const WeightMatrix& weight, std::int64_t row, std::int64_t rows) {
  const std::int64_t begin = row * weight.columns, count = rows * weight.columns;
  switch (weight.format) {
    case WeightFormat::kF32:
      return convert(out, static_cast<const float*>(weight.data) + begin, count);
    case WeightFormat::kBF16:
      return convert(out, static_cast<const bf16*>(weight.data) + begin, count);
    case WeightFormat::kF16:
      return convert(out, static_cast<const f16*>(weight.data) + begin, count);
    case WeightFormat::kNF4:
      return decode_nf4(out, weight, begin, begin + count);
    case WeightFormat::kInt8:
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto* const codes = static_cast<const std::int8_t*>(weight.data) + begin + r * weight.columns;
        scale_int8(out + r * weight.columns, codes, weight.row_scales[row + r], weight.columns);
      }
      return;
    default: {
      const BlockLayout layout = block_layout(weight.format).value();
      const auto* const blocks = static_cast<const std::uint8_t*>(weight.data);
      return decode_blocks(out, weight.format, blocks + begin / layout.elements * layout.bytes,
                           count / layout.elements);
    }
  }
}

}  // namespace

std::string_view name_of(WeightFormat format) {
  static constexpr std::array<std::string_view, 11> kNames = {"f32",  "bf16", "f16",  "nf4",  "int8", "q8_0",
                                                              "q4_0", "q5_0", "q4_k", "q5_k", "q6_k"};
  return kNames[static_cast<std::size_t>(format)];
}

std::size_t WeightMatrix::bytes() const {
  const auto elements = static_cast<std::size_t>(rows * columns);
  switch (format) {
    case WeightFormat::kF32:
      return elements * 4;
    case WeightFormat::kBF16:
    case WeightFormat::kF16:
      return elements * 2;
    case WeightFormat::kInt8:
      return elements + static_cast<std::size_t>(rows) * 4;
    case WeightFormat::kNF4:
      break;
    default: {
      const BlockLayout layout = block_layout(format).value();
      return elements / static_cast<std::size_t>(layout.elements) * static_cast<std::size_t>(layout.bytes);
    }
  }
  const std::int64_t blocks = nf4_blocks(rows * columns);
  const auto codes = static_cast<std::size_t>(nf4_code_bytes(rows * columns));
  if (absmax != nullptr) return codes + static_cast<std::size_t>(blocks) * 4;
  return codes + static_cast<std::size_t>(blocks + 4 * nf4_nested_blocks(blocks));
}

// Two roundings, as bitsandbytes does it: never a fused multiply-add.
void nf4_scales(float* scales, const WeightMatrix& weight, std::int64_t begin, std::int64_t count) {
  if (weight.absmax != nullptr) {
    std::copy_n(weight.absmax + begin, count, scales);
    return;
  }
  const float* const map = weight.nested_map;
  const std::uint8_t* const codes = weight.absmax_codes;
  const float offset = weight.nested_offset;
  // Whoever reads a weight comes for the next ones soon, after sixty times as many bytes of codes of the weights: too late
  // for the processor's own guess.
  constexpr std::int64_t kLine = 64;
  for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(codes + begin + count + i);
  for (std::int64_t b = begin, end = 0; b < begin + count; b = end) {
    end = std::min(begin + count, (b / kNf4NestedBlock + 1) * kNf4NestedBlock);
    const float absmax = weight.nested_absmax[b / kNf4NestedBlock];
    decode_nf4_scales(scales + b - begin, codes + b, map, absmax, offset, end - b);
  }
}

void decode_rows(TensorView out, const WeightMatrix& weight, std::int64_t begin) {
  assert(out.columns() == weight.columns && begin >= 0 && begin + out.rows() <= weight.rows);
  if (out.dtype == DType::kF32) {
    decode(out.as<float>(), weight, begin, out.rows());
  } else {
    decode(out.as<bf16>(), weight, begin, out.rows());
  }
}

void decode_span(float* out, const WeightMatrix& weight, std::int64_t row, std::int64_t column, std::int64_t count) {
  assert(column >= 0 && column + count <= weight.columns && row >= 0 && row < weight.rows);
  const std::int64_t begin = row * weight.columns + column;
  switch (weight.format) {
    case WeightFormat::kF32:
      return convert(out, static_cast<const float*>(weight.data) + begin, count);
    case WeightFormat::kBF16:
      return convert(out, static_cast<const bf16*>(weight.data) + begin, count);
    case WeightFormat::kF16:
      return convert(out, static_cast<const f16*>(weight.data) + begin, count);
    case WeightFormat::kNF4:
      return decode_nf4(out, weight, begin, begin + count);
    case WeightFormat::kInt8:
      return scale_int8(out, static_cast<const std::int8_t*>(weight.data) + begin, weight.row_scales[row], count);
    default:
      return decode_block_span(out, weight, begin, begin + count);
  }
}

}  // namespace attune
