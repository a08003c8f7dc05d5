// Symmetric int8 with one scale per output row: code = round(w * 127 / absmax), value = code * (absmax /
// 127).
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace attune {

// Encodes `source` [rows, columns] (f32, bf16 or f16) into codes [rows * columns] and scales [rows]. Ties
// round to even. OpenMP over rows; the result does not depend on the thread count. False when a value is NaN
// or infinite.
bool encode_int8(std::span<std::int8_t> codes, std::span<float> scales, const TensorView& source);

}  // namespace attune
