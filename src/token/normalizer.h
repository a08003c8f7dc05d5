// The "normalizer" of a tokenizer.json: what is done to a text before it is split.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace attune {

// Where a stretch of text begins; decides whether something (SentencePiece's dummy space) is put before it.
struct Beginning {
  bool of_text = false;    // exactly where the whole text begins
  bool continues = false;  // within a text whose earlier part was encoded before: nothing is put before it
};

class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  // Rewrites `text` (valid UTF-8). Sets beginning.of_text to false when the new text no longer begins with what
  // the first character of the old one became.
  virtual void apply(std::string& text, Beginning& beginning) const = 0;
};

using Normalizer = std::vector<std::unique_ptr<const NormalizerStep>>;  // in order; empty: none

// Supports Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, ByteLevel and an empty
// Precompiled. Throws BadFile and Unsupported.
Normalizer read_normalizer(const Json& value, const std::string& where);

}  // namespace attune
