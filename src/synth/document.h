// A document as blocks of text, whatever its format: what readers make (readers.h) and what chunk.h cuts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace attune {

struct TextBlock {
  int level = 0;     // 1 to 6: a heading of that level; 0: a paragraph, a list item, a row of a table
  std::string text;  // UTF-8, trimmed, not empty; lines ending in '\n' where they mean something

  bool operator==(const TextBlock&) const = default;
};

using TextBlocks = std::vector<TextBlock>;

struct Document {
  std::string name;  // the path as it was given
  TextBlocks blocks;
};

struct DocumentFiles {
  std::vector<fs::path> files;    // in the order given, those of a folder by name
  std::vector<fs::path> ignored;  // files of folders that no reader reads
};

// The documents among `paths`, folders with all below them (hidden files and links to folders left out). UserError for
// what does not exist, for a file of an unknown type, and when there is none.
DocumentFiles find_documents(const std::vector<fs::path>& paths);

// Reads one by its extension. BadFile naming it when it is damaged, encrypted or without words.
Document read_document(const fs::path& path);

// Appends a block unless `text` is blank: trimmed, without control characters, invalid UTF-8 replaced.
void add_block(TextBlocks& blocks, int level, std::string_view text);

}  // namespace attune
