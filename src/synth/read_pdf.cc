// PDF through poppler, in reading order. A PDF knows lines, not paragraphs: lines are joined, and so are words that
// were hyphenated at their end and sentences that go on overleaf.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "synth/readers.h"

namespace attune {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

bool ends_sentence(std::string_view text) {
  return !text.empty() && std::string_view(".!?:;\")").find(text.back()) != std::string_view::npos;
}

void join_line(std::string& paragraph, std::string_view line) {
  const bool hyphenated = paragraph.size() > 1 && paragraph.back() == '-' && is_lower(line.front()) &&
                          (is_lower(paragraph[paragraph.size() - 2]) || !is_ascii(paragraph[paragraph.size() - 2]));
  if (hyphenated) paragraph.pop_back();
  if (!hyphenated && !paragraph.empty()) paragraph += ' ';
  paragraph += line;
}

bool is_page_number(std::string_view text) { return text.find_first_not_of("0123456789-–/ .") == text.npos; }

std::vector<std::string> paragraphs_of(std::string_view page) {
  std::vector<std::string> paragraphs(1);
  for (std::size_t begin = 0; begin < page.size();) {
    const std::size_t end = std::min(page.find_first_of("\n\f", begin), page.size());
    const std::string_view line = trim(page.substr(begin, end - begin));
    begin = end + 1;
    if (!line.empty()) {
      join_line(paragraphs.back(), line);
    } else if (!paragraphs.back().empty()) {
      paragraphs.emplace_back();
    }
  }
  std::erase_if(paragraphs, [](const std::string& text) { return is_page_number(text); });
  return paragraphs;
}

}  // namespace

TextBlocks pdf_blocks(std::string_view bytes, const std::string& where) {
  poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
  if (bytes.size() > INT_MAX) throw BadFile("[{}] has more than 2 GB; split it", where);
  const std::unique_ptr<poppler::document> document(
      poppler::document::load_from_raw_data(bytes.data(), static_cast<int>(bytes.size())));
  if (document == nullptr) throw BadFile("[{}] expected a PDF, got a damaged or another file", where);
  if (document->is_locked()) {
    throw BadFile("[{}] is encrypted; remove its password first, e.g. qpdf --decrypt --password=...", where);
  }
  TextBlocks blocks;
  std::size_t unpacked = 0;
  for (int i = 0; i < document->pages(); ++i) {
    const std::unique_ptr<poppler::page> page(document->create_page(i));
    if (page == nullptr) throw BadFile("[{}] damaged PDF: page {} cannot be read", where, i + 1);
    const auto text = page->text(poppler::rectf(), poppler::page::non_raw_non_physical_layout).to_utf8();
    unpacked += text.size();
    if (unpacked > kMaxDocumentText) {
      throw BadFile("[{}] has more than {} MB of text; split it", where, kMaxDocumentText >> 20);
    }
    bool first = true;
    for (const std::string& paragraph : paragraphs_of({text.data(), text.size()})) {
      const bool goes_on = first && !blocks.empty() && !ends_sentence(blocks.back().text) && is_lower(paragraph[0]);
      first = false;
      if (goes_on) {
        join_line(blocks.back().text, to_valid_utf8(paragraph));
      } else {
        add_block(blocks, 0, paragraph);
      }
    }
  }
  if (blocks.empty()) throw BadFile("[{}] the PDF has no text; a scanned one needs OCR first", where);
  return blocks;
}

}  // namespace attune
