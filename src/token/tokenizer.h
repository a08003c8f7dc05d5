// Tokenizer: text <-> token ids, the same ids that Hugging Face `tokenizers` and `sentencepiece` give.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace attune {

using TokenId = std::int32_t;

// Half-open range of bytes in a text.
struct ByteRange {
  std::size_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

// Const after load: every method is thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`. Added tokens (special ones too, as in the output of a chat template) are recognised inside
  // the text; nothing (BOS, EOS) is put around it. Invalid UTF-8 is replaced by U+FFFD first.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;

  // Ids of one part of a longer text, as encode() gives them inside it: with `continues`, nothing that marks
  // the beginning of a text (SentencePiece's dummy space) is put before it. Special added tokens that overlap
  // one of the `plain` ranges of `text` (ascending, disjoint) are not recognised but encoded as ordinary
  // text: those ranges came from outside and must not forge a turn. encode_part(text, false, {}) ==
  // encode(text).
  virtual std::vector<TokenId> encode_part(std::string_view text, bool continues,
                                           std::span<const ByteRange> plain) const = 0;

  // Text of `ids`. With skip_special, special added tokens contribute nothing; an id that is no token never
  // does.
  virtual std::string decode(const std::vector<TokenId>& ids, bool skip_special) const = 0;

  // Raw bytes that `id` contributes in the middle of a text (may be part of a UTF-8 sequence).
  virtual std::string token_bytes(TokenId id) const = 0;

  // Whether `id` is one raw byte of byte fallback ("<0x0A>"): decode() judges a whole run of those at once,
  // so a stream must wait for the run's end.
  virtual bool is_byte_fallback(TokenId id) const = 0;

  virtual TokenId vocab_size() const = 0;                                  // 1 + the largest id
  virtual std::optional<TokenId> id_of(std::string_view token) const = 0;  // of the exact token string
  virtual bool is_special(TokenId id) const = 0;

  // From the model folder's config files; absent when the folder names none.
  std::optional<TokenId> bos, eos, pad, unknown;

  // The model's convention: a text without a chat template begins with `bos` (ends with `eos`). encode() adds
  // neither.
  bool add_bos = false, add_eos = false;
};

// Loads tokenizer.json if the folder has one, else tokenizer.model (SentencePiece); tokenizer_config.json and
// special_tokens_map.json add special tokens and their roles. A path that ends in ".gguf" is a file that holds the
// tokenizer. Throws UserError/BadFile/Unsupported.
std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& model_folder);

}  // namespace attune
