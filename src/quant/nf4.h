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
inline constexpr std::array<float, 16> kNf4Values = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

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
