// A tokenizer from Hugging Face's tokenizer.json: added tokens, normalizer, pre-tokenizer, BPE, decoder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "token/tokenizer.h"
#include "token/tokenizer_config.h"
#include "token/tokenizer_file.h"

namespace attune {

// `text`: the file's bytes; `where` begins the error messages. Throws BadFile and Unsupported.
std::unique_ptr<Tokenizer> make_json_tokenizer(std::string_view text, const TokenizerConfig& config,
                                               const std::string& where);

// The same from a file that has been read.
std::unique_ptr<Tokenizer> make_json_tokenizer(TokenizerFile file, const TokenizerConfig& config,
                                               const std::string& where);

}  // namespace attune
