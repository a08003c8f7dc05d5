// HTML through libxml2's forgiving parser. What surrounds the words of a page (navigation, forms, scripts) is left out.
#include <libxml/HTMLparser.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"
#include "synth/readers.h"
#include "synth/xml_tree.h"

namespace attune {
namespace {

constexpr std::size_t kMaxHtmlBytes = std::size_t{256} << 20;

template <std::size_t N>
bool any_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 18> kSkipped = {"head",   "script",   "style",    "nav",    "aside", "footer",
                                                       "form",   "noscript", "template", "svg",    "math",  "iframe",
                                                       "object", "button",   "select",   "canvas", "audio", "video"};

constexpr std::array<std::string_view, 32> kBlocks = {
    "address", "article",  "blockquote", "body",   "caption", "center", "dd",      "details", "dialog", "div", "dl",
    "dt",      "fieldset", "figcaption", "figure", "h1",      "h2",     "h3",      "h4",      "h5",     "h6",  "header",
    "hr",      "li",       "main",       "ol",     "p",       "pre",    "section", "table",   "tr",     "ul"};

int heading_level(std::string_view name) {
  return name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6' ? name[1] - '0' : 0;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

// What the page says that it is encoded in: <meta charset> or the type in a <meta content>; "" when it does not.
std::string declared_charset(const xmlDoc* tree) {
  std::string charset;
  const auto look = [&](const xmlNode* node) {
    if (node->type != XML_ELEMENT_NODE || !charset.empty()) return false;
    if (name_of(node) != "meta") return true;
    charset = attribute(node, "charset");
    const std::string content = attribute(node, "content");
    const std::size_t at = content.find("charset=");
    if (charset.empty() && at != content.npos) charset = content.substr(at + 8, content.find(';', at) - at - 8);
    return true;
  };
  if (const xmlNode* const root = xmlDocGetRootElement(const_cast<xmlDoc*>(tree)))
    walk(root, look, [](const xmlNode*) {});
  return charset;
}

class Page {
 public:
  explicit Page(TextBlocks& blocks) : blocks_(blocks) {}

  bool enter(const xmlNode* node) {
    if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) append(words_of(node));
    if (node->type != XML_ELEMENT_NODE) return false;
    const std::string_view name = name_of(node);
    if (any_of(kSkipped, name)) return false;
    if (any_of(kBlocks, name)) flush();
    if (const int level = heading_level(name)) level_ = level;
    if (name == "pre") ++verbatim_;
    if (name == "br") text_ += '\n';
    if ((name == "td" || name == "th") && !text_.empty()) text_ += " | ";
    return true;
  }

  void leave(const xmlNode* node) {
    const std::string_view name = name_of(node);
    if (any_of(kBlocks, name)) flush();
    if (heading_level(name)) level_ = 0;
    if (name == "pre") --verbatim_;
  }

  void flush() {
    add_block(blocks_, level_, text_);
    text_.clear();
  }

 private:
  void append(std::string_view words) {
    for (const char c : words) {
      if (verbatim_ > 0 || !is_space(c)) {
        text_ += c;
      } else if (!text_.empty() && !is_space(text_.back())) {
        text_ += ' ';
      }
    }
  }

  TextBlocks& blocks_;
  std::string text_;
  int level_ = 0, verbatim_ = 0;
};

}  // namespace

TextBlocks html_blocks(std::string_view bytes, const std::string& where) {
  if (bytes.size() > kMaxHtmlBytes) throw BadFile("[{}] has more than {} MB; split it", where, kMaxHtmlBytes >> 20);
  std::string decoded;
  // A page that is UTF-8 is read as that, whatever it says; only another one is asked what it is.
  const bool marked = bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF");
  const bool utf8 = marked || is_valid_utf8(bytes);
  if (utf8) bytes = decoded = plain_text(bytes, where);
  if (bytes.find('\0') != bytes.npos) throw BadFile("[{}] expected text, got binary data", where);
  const int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET;
  const XmlTree tree(htmlReadMemory(bytes.data(), static_cast<int>(bytes.size()), nullptr, utf8 ? "UTF-8" : nullptr,
                                    utf8 ? options | HTML_PARSE_IGNORE_ENC : options));
  if (tree == nullptr) return {};
  if (!utf8) {
    const auto handler = xmlFindCharEncodingHandler(declared_charset(tree.get()).c_str());
    if (handler == nullptr) {
      throw BadFile("[{}] expected UTF-8 or a known <meta charset>; convert it, e.g. iconv -f ISO-8859-2 -t UTF-8",
                    where);
    }
    xmlCharEncCloseFunc(handler);
  }
  TextBlocks blocks;
  Page page(blocks);
  if (const xmlNode* const root = xmlDocGetRootElement(tree.get())) {
    walk(
        root, [&](const xmlNode* node) { return page.enter(node); }, [&](const xmlNode* node) { page.leave(node); });
  }
  page.flush();
  return blocks;
}

}  // namespace attune
