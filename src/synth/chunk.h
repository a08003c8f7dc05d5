// Documents cut into chunks that a question can be asked about: at headings where it can be, else between paragraphs,
// else between sentences; within words only where a "word" is longer than a chunk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "synth/document.h"

namespace attune {

struct ChunkOptions {
  std::int64_t size = 2000;    // code points at most
  std::int64_t overlap = 200;  // of the sentences before, repeated where a section had to be cut; at most size / 2
};

struct Chunk {
  std::string document;     // its name
  std::int64_t number = 1;  // in its document
  std::string heading;      // the headings that it stands under: "Guide > Installing"
  std::string text;
};

// In order. UserError for options out of range.
std::vector<Chunk> chunks_of(const Document& document, const ChunkOptions& options);

// Throws the UserError of chunks_of().
void check_chunk_options(const ChunkOptions& options);

}  // namespace attune
