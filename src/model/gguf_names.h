// How GGUF names a model's tensors and orders their rows (INTEROP section 5): shared by reading and writing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/tensors.h"

namespace attune {

// "llama" for Llama and Mistral, "qwen2", "qwen3": general.architecture and the prefix of its keys.
std::string_view gguf_architecture(Family family);

// "blk.0.attn_q.weight".
std::string gguf_name(const ModelTensor& tensor);

// Whether GGUF holds the rows of this tensor in another order: query and key (weights and biases) of architecture llama,
// where neighbouring rows of a head turn together and not the two halves.
bool gguf_reorders(const ModelConfig& config, const ModelTensor& tensor);

// The row of the Hugging Face tensor that is row `row` of such a tensor in GGUF.
std::int64_t gguf_source_row(std::int64_t row, std::int64_t head_dim);

}  // namespace attune
