// Checkpoints of llama2.c (karpathy/llama2.c, export.py): small real models that serve as a test input. Both layouts,
// the legacy one without a magic number and version 1, become an ordinary Hugging Face folder.
#pragma once

#include "base/file.h"

namespace attune {

// Writes config.json, generation_config.json and model.safetensors (f32) into an existing folder. llama2.c turns
// neighbouring elements of q and k together where transformers turns the two halves of a head: the rows are reordered.
// Throws BadFile when the file is not a checkpoint or its size is not what its header says.
void convert_llama2c_model(const fs::path& checkpoint, const fs::path& folder);

// Writes tokenizer.json (SentencePiece-style BPE with byte fallback) and tokenizer_config.json from a tokenizer.bin of
// `vocab_size` pieces. The merges follow from the pieces' scores, as in transformers' converter.
void convert_llama2c_tokenizer(const fs::path& tokenizer, std::int64_t vocab_size, const fs::path& folder);

// Both; the tokenizer has as many pieces as the model.
void convert_llama2c(const fs::path& checkpoint, const fs::path& tokenizer, const fs::path& folder);

}  // namespace attune
