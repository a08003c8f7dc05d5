// The vectorised inner loops of quant/: Highway kernels with run-time dispatch, one thread each, contiguous
// arrays.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace attune {

// Whole NF4 blocks: 64 values and 32 bytes of codes per scale, which must be finite. Products are rounded once, to the
// output type.
void decode_nf4_blocks(float* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks);
void decode_nf4_blocks(bf16* out, const std::uint8_t* codes, const float* scales, std::int64_t blocks);

// The inverse: scales (absolute maxima) and packed codes of whole blocks. False when a value is not finite.
bool encode_nf4_blocks(std::uint8_t* codes, float* absmax, const float* values, std::int64_t blocks);

// scales[i] = map[codes[i]] * absmax + offset, rounded twice.
void decode_nf4_scales(float* scales, const std::uint8_t* codes, const float* map, float absmax, float offset,
                       std::int64_t count);

// out[i] = in[i], rounded to nearest even where out is narrower.
void convert(float* out, const float* in, std::int64_t count);
void convert(float* out, const bf16* in, std::int64_t count);
void convert(float* out, const f16* in, std::int64_t count);
void convert(bf16* out, const float* in, std::int64_t count);
void convert(bf16* out, const bf16* in, std::int64_t count);
void convert(bf16* out, const f16* in, std::int64_t count);

// out[i] = in[i] * scale.
void scale_int8(float* out, const std::int8_t* in, float scale, std::int64_t count);
void scale_int8(bf16* out, const std::int8_t* in, float scale, std::int64_t count);

// The largest magnitude; NaN or infinity when a value is one.
float absolute_maximum(const float* values, std::int64_t count);

// out[i] = values[i] * factor, rounded to nearest even and clamped to [-127, 127].
void round_int8(std::int8_t* out, const float* values, float factor, std::int64_t count);

}  // namespace attune
