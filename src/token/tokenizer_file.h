// Reads a tokenizer.json into its three parts. The vocabulary and the merges hold hundreds of thousands of entries, so
// they go straight into arrays; the rest is an ordinary JSON value.
#pragma once

#include "base/file.h"
#include "base/json.h"
#include "token/bpe.h"

namespace attune {

struct TokenizerFile {
  Json rest;  // everything but model.vocab and model.merges
  Bpe::Vocabulary vocabulary;
  Bpe::Merges merges;
};

// `where` begins the error messages. Throws BadFile (not JSON, wrong shape) and Unsupported (a model other than BPE).
TokenizerFile read_tokenizer_file(std::string_view text, const std::string& where);

}  // namespace attune
