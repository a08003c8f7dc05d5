// Trains a tokenizer of our own: SentencePiece BPE with byte fallback, so that every text has ids and no text has an
// unknown one. The folder it writes is read by attune, sentencepiece and transformers alike.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace attune {

struct TokenizerRecipe {
  std::int64_t vocab_size = 4096;           // pieces, the special ones and 256 bytes included
  std::vector<std::string> special_tokens;  // as "<|user|>"; ids from 4 in this order, after <unk> <s> </s> <pad>
  std::string eos_token = "</s>";           // one of them or of the four
  std::string chat_template;                // Jinja source; empty: none
};

// Writes tokenizer.model, tokenizer.json (the same ids), tokenizer_config.json and special_tokens_map.json into
// `model_folder`, which exists. The same recipe and texts give the same bytes. Throws UserError: too little text, too
// small a vocabulary, a special token that is empty or named twice, an eos_token that does not exist.
void train_tokenizer(const TokenizerRecipe& recipe, std::span<const std::string> texts, const fs::path& model_folder);

}  // namespace attune
