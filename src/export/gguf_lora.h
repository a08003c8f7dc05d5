// A PEFT adapter as a GGUF LoRA, which llama.cpp (--lora) and Ollama (ADAPTER) load beside the base model.
#pragma once

#include "base/file.h"
#include "export/gguf_mix.h"

namespace attune {

struct GgufLoraExport {
  fs::path model, adapter;            // folders; the model's weights are not read
  GgufDType dtype = GgufDType::kF32;  // f32, f16 or bf16
  fs::path output;
};

// The format has one alpha for all modules and computes alpha / rank, so what differs (rsLoRA, rank_pattern,
// alpha_pattern) is multiplied into B. Throws as Adapter::load; UserError when the file exists. Returns the file's bytes.
std::uint64_t export_gguf_lora(const GgufLoraExport& options);

}  // namespace attune
