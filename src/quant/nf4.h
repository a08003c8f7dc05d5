// NF4 (Dettmers et al., "QLoRA", 2023) with the arithmetic of bitsandbytes, so that the same weights give the
// same codes bit for bit (INTEROP section 6).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "quant/dynamic_map.h"
#include "tensor/tensor.h"

namespace attune {

inline constexpr std::int64_t kNf4Block = 64;         // weights per scale
inline constexpr std::int64_t kNf4NestedBlock = 256;  // scales per scale of scales

// The sixteen values: quantiles of a normal distribution, ascending, exact zero at 7.
extern const std::array<float, 16> kNf4Values;

inline std::int64_t nf4_code_bytes(std::int64_t elements) { return (elements + 1) / 2; }
inline std::int64_t nf4_blocks(std::int64_t elements) { return (elements + kNf4Block - 1) / kNf4Block; }
inline std::int64_t nf4_nested_blocks(std::int64_t blocks) { return (blocks + kNf4NestedBlock - 1) / kNf4NestedBlock; }

// Encodes `source` (f32, bf16 or f16, flattened row-major) into codes [nf4_code_bytes] and absmax
// [nf4_blocks]. OpenMP over blocks; the result does not depend on the thread count. False when a value is NaN
// or infinite.
bool encode_nf4(std::span<std::uint8_t> codes, std::span<float> absmax, const TensorView& source);

// Double quantization of the scales: codes [blocks] into dynamic_map(), nested_absmax [nf4_nested_blocks].
// absmax = dynamic_map()[code] * nested_absmax[block / 256] + offset, where offset is the mean that
// nf4_offset returns.
float nf4_offset(std::span<const float> absmax);
void encode_nf4_scales(std::span<std::uint8_t> codes, std::span<float> nested_absmax, std::span<const float> absmax,
                       float offset);

}  // namespace attune
