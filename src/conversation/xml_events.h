// XML of any size as a sequence of elements, through expat. Entities of the document's own are refused (they can expand
// without bound), and so are references to files.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/spill.h"

namespace attune {

using XmlAttributes = std::map<std::string, std::string, std::less<>>;

struct XmlHandler {
  std::function<void(std::string_view name, const XmlAttributes& attributes)> start;
  std::function<void(std::string_view name)> end;
};

// Halves of surrogate pairs written as character references become one character, as they were meant; lone ones
// U+FFFD. Throws BadFile "[source:line] ..." when the XML is broken or cut off.
void read_xml(const PagedText& text, const std::string& source, const XmlHandler& handler);

// The same repair for a piece of XML: "&#55357;&#56832;" -> the emoji.
std::string join_surrogate_references(std::string_view xml);

}  // namespace attune
