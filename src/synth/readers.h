// One reader per format: the bytes of a document -> its blocks. `where` begins the error messages. All throw BadFile
// for what they cannot read, whatever the bytes; none follows a reference to anything outside the document.
#pragma once

#include <string>
#include <string_view>

#include "synth/document.h"

namespace attune {

// The most that the text of one document may take in memory, unpacked: more is a bomb or not meant to be read.
inline constexpr std::size_t kMaxDocumentText = std::size_t{64} << 20;

// Text as UTF-8 with '\n' line ends: from UTF-8 or, by its byte order mark, UTF-16.
std::string plain_text(std::string_view bytes, const std::string& where);

TextBlocks text_blocks(std::string_view bytes, const std::string& where);      // paragraphs between empty lines
TextBlocks markdown_blocks(std::string_view bytes, const std::string& where);  // headings, paragraphs, fenced code
TextBlocks csv_blocks(std::string_view bytes, const std::string& where);       // each row as "column: value" lines
TextBlocks html_blocks(std::string_view bytes, const std::string& where);      // without scripts, styles and navigation
TextBlocks docx_blocks(std::string_view bytes, const std::string& where);      // headings by their styles
TextBlocks pdf_blocks(std::string_view bytes, const std::string& where);       // lines joined to paragraphs

}  // namespace attune
