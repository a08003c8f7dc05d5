// One linear of a frozen model, encoded while it is loaded.
#pragma once

#include <string>

#include "model/weights_plan.h"

namespace attune {

// Encodes `source` (f32, bf16 or f16) into the rows that plan_weight() made for `quantization`, which is not kNone. The
// result points into the arena. BadFile, its message beginning with `where`, when a value is not finite.
WeightMatrix quantize_weight(const TensorView& source, Quantization quantization, const WeightRows& rows,
                             const Arena& arena, const std::string& where);

// A matrix of f32, bf16 or f16 as it is.
WeightMatrix plain_matrix(const TensorView& view);

}  // namespace attune
