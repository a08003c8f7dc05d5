// Word documents (ECMA-376): word/document.xml out of the zip archive, headings found through word/styles.xml, since
// the identifiers of styles are translated ("Heading1", "Cmsor1") and only their names are not.
#include <archive.h>
#include <archive_entry.h>
#include <libxml/parser.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>

#include "base/ascii.h"
#include "base/error.h"
#include "base/freed.h"
#include "synth/readers.h"
#include "synth/xml_tree.h"

namespace attune {
namespace {

constexpr int kMaxEntries = 10'000;
constexpr std::size_t kBlockBytes = std::size_t{1} << 16;

struct Parts {
  std::optional<std::string> document, styles;
};

std::string read_entry(archive* handle, const std::string& name, const std::string& where) {
  std::string text, block(kBlockBytes, '\0');
  while (true) {
    const la_ssize_t got = archive_read_data(handle, block.data(), block.size());
    if (got == 0) return text;
    if (got < 0) throw BadFile("[{}] damaged Word document: {} cannot be unpacked", where, name);
    text.append(block, 0, static_cast<std::size_t>(got));
    if (text.size() > kMaxDocumentText) {
      throw BadFile("[{}] {} unpacks to more than {} MB; no document that can be read", where, name,
                    kMaxDocumentText >> 20);
    }
  }
}

Parts read_parts(std::string_view bytes, const std::string& where) {
  if (bytes.starts_with("\xD0\xCF\x11\xE0")) {
    throw BadFile("[{}] is encrypted or an old .doc; save it as .docx without a password", where);
  }
  const std::unique_ptr<archive, FreedBy<archive_read_free>> handle(archive_read_new());
  if (!handle) throw std::bad_alloc();
  archive_read_support_format_zip_seekable(handle.get());
  if (archive_read_open_memory(handle.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    throw BadFile("[{}] expected a Word document (.docx), got a damaged or another file", where);
  }
  Parts parts;
  archive_entry* entry = nullptr;
  for (int count = 0; count < kMaxEntries && !(parts.document && parts.styles); ++count) {
    const int status = archive_read_next_header(handle.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status < ARCHIVE_WARN) {
      throw BadFile("[{}] expected a Word document (.docx), got a damaged or another file", where);
    }
    const char* const path = archive_entry_pathname(entry);
    const std::string name = path == nullptr ? "" : path;
    if (name == "word/document.xml") parts.document = read_entry(handle.get(), name, where);
    if (name == "word/styles.xml") parts.styles = read_entry(handle.get(), name, where);
  }
  if (!parts.document) throw BadFile("[{}] expected a Word document (.docx): word/document.xml is missing", where);
  return parts;
}

XmlTree parse_part(const std::string& text, const char* name, const std::string& where) {
  XmlTree tree(xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr,
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
  // Word writes no document type; one could only define entities that grow or reach outside.
  if (tree == nullptr || tree->intSubset != nullptr || xmlDocGetRootElement(tree.get()) == nullptr) {
    throw BadFile("[{}] damaged Word document: {} is not the XML that it should be", where, name);
  }
  return tree;
}

// A digit of "heading 1" or of an outline level, moved by `shift`, as a heading's level; 0: none.
int level_from(std::string_view digits, int shift) {
  if (digits.size() != 1 || digits[0] < '0' || digits[0] > '9') return 0;
  const int level = digits[0] - '0' + shift;
  return level >= 1 && level <= 9 ? std::min(level, 6) : 0;
}

int level_from_style_name(const std::string& as_written) {
  const std::string name = lower_ascii(as_written);
  if (name == "title") return 1;
  return name.starts_with("heading ") ? level_from(std::string_view(name).substr(8), 0) : 0;
}

using StyleLevels = std::map<std::string, int>;

StyleLevels heading_styles(const std::string& text, const std::string& where) {
  StyleLevels levels;
  const XmlTree tree = parse_part(text, "word/styles.xml", where);
  std::string id;
  walk(
      xmlDocGetRootElement(tree.get()),
      [&](const xmlNode* node) {
        if (node->type != XML_ELEMENT_NODE) return false;
        const std::string_view name = name_of(node);
        if (name == "style") id = attribute(node, "styleId");
        const int level = name == "name"         ? level_from_style_name(attribute(node, "val"))
                          : name == "outlineLvl" ? level_from(attribute(node, "val"), 1)
                                                 : 0;
        if (level > 0 && !id.empty()) levels.emplace(id, level);
        return true;
      },
      [](const xmlNode*) {});
  return levels;
}

class Body {
 public:
  Body(TextBlocks& blocks, const StyleLevels& styles) : blocks_(blocks), styles_(styles) {}

  bool enter(const xmlNode* node) {
    if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
      if (in_words_ > 0) text_ += words_of(node);
      return false;
    }
    if (node->type != XML_ELEMENT_NODE) return false;
    const std::string_view name = name_of(node);
    // A fallback repeats what stands beside it; deleted and moved-away text is no longer the author's.
    if (name == "Fallback" || name == "del" || name == "moveFrom") return false;
    if (name == "t") ++in_words_;
    if (name == "tab") text_ += ' ';
    if (name == "br" || name == "cr") text_ += '\n';
    if (name == "tr" && rows_++ == 0) flush();
    if (name == "tc" && !text_.empty()) text_.resize(text_.find_last_not_of(' ') + 1), text_ += " | ";
    if (name == "pStyle" && rows_ == 0) {
      const auto style = styles_.find(attribute(node, "val"));
      if (style != styles_.end()) level_ = style->second;
    }
    if (name == "outlineLvl" && rows_ == 0) level_ = level_from(attribute(node, "val"), 1);
    return true;
  }

  void leave(const xmlNode* node) {
    const std::string_view name = name_of(node);
    if (name == "t") --in_words_;
    if (name == "p") rows_ == 0 ? flush() : void(text_ += ' ');
    if (name == "tr" && --rows_ == 0) flush();
  }

  void flush() {
    add_block(blocks_, level_, text_);
    text_.clear();
    level_ = 0;
  }

 private:
  TextBlocks& blocks_;
  const StyleLevels& styles_;
  std::string text_;
  int level_ = 0, in_words_ = 0, rows_ = 0;  // rows_: of tables, one in another
};

}  // namespace

TextBlocks docx_blocks(std::string_view bytes, const std::string& where) {
  const Parts parts = read_parts(bytes, where);
  const StyleLevels styles = parts.styles ? heading_styles(*parts.styles, where) : StyleLevels();
  const XmlTree tree = parse_part(*parts.document, "word/document.xml", where);
  TextBlocks blocks;
  Body body(blocks, styles);
  walk(
      xmlDocGetRootElement(tree.get()), [&](const xmlNode* node) { return body.enter(node); },
      [&](const xmlNode* node) { body.leave(node); });
  body.flush();
  return blocks;
}

}  // namespace attune
