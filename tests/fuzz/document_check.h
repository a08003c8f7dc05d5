// What holds for every document that a reader of src/synth/ accepts: blocks of clean text, and chunks of them that are
// not too long.
#pragma once

#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "synth/chunk.h"
#include "synth/readers.h"
#include "synth/words.h"

inline void require(bool holds) {
  if (!holds) std::abort();
}

template <typename Read>
void check_document(const Read& read) {
  attune::Document document{"fuzz", {}};
  try {
    document.blocks = read();
  } catch (const attune::UserError&) {
    return;
  }
  for (const attune::TextBlock& block : document.blocks) {
    require(block.level >= 0 && block.level <= 6);
    require(!block.text.empty() && attune::is_valid_utf8(block.text) && block.text.find('\0') == std::string::npos);
  }
  for (const attune::Chunk& chunk : attune::chunks_of(document, {.size = 100, .overlap = 30})) {
    require(!chunk.text.empty() && attune::is_valid_utf8(chunk.text) && attune::length_of(chunk.text) <= 100);
  }
}
