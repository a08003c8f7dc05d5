// A tokenizer from a SentencePiece model (tokenizer.model), run by the sentencepiece library. Control pieces and the
// added tokens of the config files are recognised inside a text, which the library by itself does not do.
#pragma once

#include <memory>
#include <string>

#include "token/tokenizer.h"
#include "token/tokenizer_config.h"

namespace attune {

// `model`: the file's bytes; `where` begins the error messages. Throws BadFile.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& model, const TokenizerConfig& config,
                                                        const std::string& where);

}  // namespace attune
