// Which tensor gets which type in a GGUF file: the choices of llama.cpp's llama-quantize (src/llama-quant.cpp), so that a
// file of ours is what its users know by the same name.
#pragma once

#include <cstdint>
#include <string>

#include "format/gguf_types.h"
#include "model/tensors.h"
#include "quant/weight.h"

namespace attune {

enum class GgufDType { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4KM };

std::string_view name_of(GgufDType dtype);      // "q4_k_m"
std::uint32_t gguf_file_type(GgufDType dtype);  // general.file_type

// The format of a tensor. Vectors stay f32. The output head (and a tied embedding) is q6_k instead of any 4-bit type;
// q4_k_m gives attn_v and ffn_down of some blocks to q6_k. Rows that a type's blocks do not divide fall back: q4_k to
// q5_0, q5_k to q8_0 where llama.cpp has q5_1, q6_k to q8_0, and what 32 does not divide to f16.
WeightFormat gguf_format_of(const ModelTensor& tensor, const ModelConfig& config, GgufDType dtype);

// The GGUF type of a format.
const GgufType& gguf_type_of(WeightFormat format);

}  // namespace attune
