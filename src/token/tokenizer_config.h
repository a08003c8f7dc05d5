// What tokenizer_config.json and special_tokens_map.json say about a tokenizer: roles of tokens and added tokens.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "token/added_tokens.h"

namespace attune {

struct TokenizerConfig {
  std::optional<std::string> bos, eos, pad, unknown;  // token strings
  std::vector<std::string> other_special;             // "additional_special_tokens"
  std::vector<std::pair<TokenId, AddedToken>> added;  // "added_tokens_decoder", by id
  std::optional<bool> add_bos, add_eos;
  bool legacy = true;  // SentencePiece: every stretch of text between added tokens gets the model's dummy prefix
};

// Both files are optional. Throws BadFile.
TokenizerConfig read_tokenizer_config(const fs::path& model_folder);

}  // namespace attune
