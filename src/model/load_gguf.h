// Loading a frozen model from one GGUF file, as llama.cpp and Ollama hold them.
#pragma once

#include <functional>
#include <optional>

#include "base/file.h"
#include "format/gguf.h"
#include "model/weights.h"

namespace attune {

// As load_model(), which calls it for a path that ends in ".gguf". With kNone the linears stay in the file's own format
// and are used where they lie in the mapped file, except query and key of architecture llama, whose rows are put back
// into Hugging Face's order. A block-coded embedding becomes f16. Throws BadFile naming the first tensor that is missing,
// unexpected or of another shape; Unsupported naming one of a type that attune does not compute with.
Model load_gguf_model(const fs::path& path, Quantization quantization,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

// The format in which attune computes with this type of tensor, or nothing.
std::optional<WeightFormat> weight_format_of(const GgufType& type);

}  // namespace attune
