#include "quant/nf4.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "quant/kernels.h"

namespace attune {
namespace {

constexpr std::int64_t kBlocksPerTask = 256;  // 16,384 weights

void load_floats(float* out, const TensorView& source, std::int64_t begin, std::int64_t count) {
  switch (source.dtype) {
    case DType::kBF16:
      return convert(out, source.as<bf16>() + begin, count);
    case DType::kF16:
      return convert(out, source.as<f16>() + begin, count);
    default:
      return convert(out, source.as<float>() + begin, count);
  }
}

// The last block when it is short: bitsandbytes divides by its maximum where it multiplies whole blocks by 1
// / maximum, and keeps that maximum away from zero.
bool encode_short_block(std::uint8_t* codes, float* absmax, const float* values, std::int64_t count) {
  float block[kNf4Block] = {}, ignored;
  const float largest = absolute_maximum(values, count);
  *absmax = std::max(largest, 1e-38f);
  for (std::int64_t i = 0; i < count; ++i) block[i] = std::clamp(values[i] / *absmax, -1.0f, 1.0f);
  // Already scaled: one element of 1 in the padding keeps the kernel's own scale at 1.
  if (count < kNf4Block) block[kNf4Block - 1] = 1.0f;
  std::uint8_t packed[kNf4Block / 2];
  encode_nf4_blocks(packed, &ignored, block, 1);
  if (count % 2 != 0) packed[count / 2] = static_cast<std::uint8_t>((packed[count / 2] & 0xF0) | 7);  // a zero
  std::memcpy(codes, packed, static_cast<std::size_t>(nf4_code_bytes(count)));
  return std::isfinite(largest);
}

// bitsandbytes rounds a scale to one of 65,536 points in [-1, 1] before it looks for the nearest entry of the map.
float on_grid(float x) {
  const float point = std::trunc(std::fma((std::clamp(x, -1.0f, 1.0f) + 1.0f) * 0.5f, 65535.0f, 0.5f));
  return -1.0f + 2.0f * point / 65535.0f;
}

}  // namespace

bool encode_nf4(std::span<std::uint8_t> codes, std::span<float> absmax, const TensorView& source) {
  const std::int64_t elements = source.elements(), whole = elements / kNf4Block;
  assert(std::ssize(codes) == nf4_code_bytes(elements) && std::ssize(absmax) == nf4_blocks(elements));
  bool finite = true;
#pragma omp parallel for schedule(static) reduction(&& : finite)
  for (std::int64_t begin = 0; begin < whole; begin += kBlocksPerTask) {
    const std::int64_t blocks = std::min(kBlocksPerTask, whole - begin);
    float values[kBlocksPerTask * kNf4Block];
    load_floats(values, source, begin * kNf4Block, blocks * kNf4Block);
    finite = encode_nf4_blocks(codes.data() + begin * (kNf4Block / 2), absmax.data() + begin, values, blocks) && finite;
  }
  if (const std::int64_t rest = elements - whole * kNf4Block; rest > 0) {
    float values[kNf4Block];
    load_floats(values, source, whole * kNf4Block, rest);
    finite = encode_short_block(codes.data() + whole * (kNf4Block / 2), &absmax[static_cast<std::size_t>(whole)],
                                values, rest) &&
             finite;
  }
  return finite;
}

float nf4_offset(std::span<const float> absmax) {
  double sum = 0;
  for (const float x : absmax) sum += x;
  return absmax.empty() ? 0.0f : static_cast<float>(sum / static_cast<double>(absmax.size()));
}

void encode_nf4_scales(std::span<std::uint8_t> codes, std::span<float> nested_absmax, std::span<const float> absmax,
                       float offset) {
  assert(codes.size() == absmax.size());
  const std::array<float, 256>& map = dynamic_map();
  std::array<float, 255> midpoints;
  for (std::size_t i = 0; i < midpoints.size(); ++i) midpoints[i] = (map[i] + map[i + 1]) / 2;
  const auto blocks = static_cast<std::int64_t>(nested_absmax.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    const auto begin = static_cast<std::size_t>(block * kNf4NestedBlock);
    const std::size_t end = std::min(begin + kNf4NestedBlock, absmax.size());
    float largest = 0;
    for (std::size_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(absmax[i] - offset));
    nested_absmax[static_cast<std::size_t>(block)] = largest;
    if (largest == 0) {  // bitsandbytes gives code 0 here; the scale of 0 makes any code right
      std::fill(codes.begin() + static_cast<std::ptrdiff_t>(begin), codes.begin() + static_cast<std::ptrdiff_t>(end),
                0);
      continue;
    }
    const float inverse = 1.0f / largest;
    for (std::size_t i = begin; i < end; ++i) {
      const float x = on_grid((absmax[i] - offset) * inverse);
      codes[i] = static_cast<std::uint8_t>(std::lower_bound(midpoints.begin(), midpoints.end(), x) - midpoints.begin());
    }
  }
}

}  // namespace attune
