// Cosines and sines of the rotary embedding for every position, with the scaling that config.json asks for.
#pragma once

#include "model/config.h"
#include "tensor/tensor.h"

namespace attune {

// Fills cosines and sines [positions, D/2] f32. The inverse frequencies and angles are rounded to f32 as transformers
// rounds them, so that long positions agree.
void fill_rope_table(TensorView cosines, TensorView sines, const ModelConfig& config);

}  // namespace attune
