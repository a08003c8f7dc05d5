// A model folder (with or without an adapter) as one GGUF file, as llama.cpp's convert_hf_to_gguf.py and llama-quantize
// would make it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "export/gguf_mix.h"
#include "format/gguf.h"
#include "model/config.h"

namespace attune {

struct GgufExport {
  fs::path model;                   // Hugging Face folder
  std::optional<fs::path> adapter;  // PEFT folder, merged into the weights
  GgufDType dtype = GgufDType::kQ8_0;
  fs::path output;                   // the file
  std::optional<bool> add_bos = {};  // instead of what the tokenizer's files say
};

struct GgufExported {
  std::uint64_t bytes = 0;                         // of the file
  std::vector<std::pair<std::string, int>> types;  // how many tensors of each type
  std::string end_of_turn;            // the token that ends an answer, "" when the model has no chat template
  int probes = 0, probes_differ = 0;  // texts that llama.cpp would cut into other tokens than the model's own tokenizer
};

// Throws as MergedWeights and read_gguf_vocabulary; nothing is written then. UserError when the file exists.
GgufExported export_gguf(const GgufExport& options,
                         const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

// The keys that describe the architecture ("llama.block_count", ...), general.architecture first.
std::vector<GgufEntry> architecture_entries(const ModelConfig& config, const std::string& where);

}  // namespace attune
