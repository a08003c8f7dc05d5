// The vocabulary of a tokenizer as GGUF holds it (INTEROP section 5): one table for writing a folder's tokenizer into a
// file and for reading one out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "format/gguf.h"
#include "token/tokenizer.h"

namespace attune {

// tokenizer.ggml.token_type: the numbers are SentencePiece's own.
enum class GgufTokenType : std::int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct GgufVocabulary {
  std::string model;                // "gpt2" (byte-level BPE) or "llama" (SentencePiece)
  std::string pre = "default";      // see token/gguf_pre.h; means nothing to "llama"
  std::vector<std::string> tokens;  // by id
  std::vector<float> scores;        // "llama" only: the pair whose piece scores highest is merged first
  std::vector<GgufTokenType> types;
  std::vector<std::string> merges;  // "gpt2" only: "left right", in order of rank
  std::optional<TokenId> bos, eos, unknown, pad;
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;  // "llama": a text, and what follows a special token, begins with a space
};

// Of the tokenizer in a model folder, filled up to `size` ids with [PAD<id>]. Throws as load_tokenizer, and Unsupported
// for a tokenizer that llama.cpp would not run as it is meant.
GgufVocabulary read_gguf_vocabulary(const fs::path& model_folder, std::int64_t size);

// Of a GGUF file. Throws BadFile and Unsupported, naming the key.
GgufVocabulary read_gguf_vocabulary(const GgufFile& file);

// The keys tokenizer.ggml.*.
std::vector<GgufEntry> gguf_entries(const GgufVocabulary& vocabulary);

// The tokenizer that llama.cpp makes of such a vocabulary. `where` begins the error messages.
std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary, const std::string& where);

}  // namespace attune
