// The "pre_tokenizer" of a tokenizer.json: cuts a normalized text into the pieces that BPE sees one at a time.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "token/normalizer.h"
#include "token/word_scanner.h"

namespace attune {

struct Piece {
  std::string_view text;
  Beginning beginning;
};

// Pieces in order, and the texts that steps had to rewrite. Empty pieces are never kept.
struct Pieces {
  std::vector<Piece> list;
  std::deque<std::string> rewritten;  // what the views point into, unless into the caller's text

  std::string_view keep(std::string text) { return rewritten.emplace_back(std::move(text)); }
};

class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

struct PreTokenizer {
  std::vector<std::unique_ptr<const PreTokenizerStep>> steps;  // in order; empty: the text is one piece

  // The last step is ByteLevel: its mapping of bytes to characters is left to the model, which need not see the
  // characters to know their ids.
  bool ends_in_bytes = false;

  // Gives the same pieces as the steps, one after the other; nullptr when only the steps can.
  PieceEnd piece_end = nullptr;
};

// Supports Sequence, Split, ByteLevel, Metaspace, Digits, Whitespace, WhitespaceSplit and Punctuation. Throws BadFile
// and Unsupported.
PreTokenizer read_pre_tokenizer(const Json& value, const std::string& where);

}  // namespace attune
