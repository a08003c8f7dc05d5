// Trees of libxml2: owned, and walked without recursion, since their depth comes from outside.
#pragma once

#include <libxml/tree.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/freed.h"

namespace attune {

using XmlTree = std::unique_ptr<xmlDoc, FreedBy<xmlFreeDoc>>;

// Of an element, without its namespace; of a text node "text".
inline std::string_view name_of(const xmlNode* node) {
  return node->name == nullptr ? std::string_view() : reinterpret_cast<const char*>(node->name);
}

inline std::string_view words_of(const xmlNode* node) {
  return node->content == nullptr ? std::string_view() : reinterpret_cast<const char*>(node->content);
}

// Its value whatever its namespace; "" when absent.
inline std::string attribute(const xmlNode* node, const char* name) {
  xmlChar* const value = xmlGetProp(const_cast<xmlNode*>(node), reinterpret_cast<const xmlChar*>(name));
  std::string text = value == nullptr ? "" : reinterpret_cast<const char*>(value);
  xmlFree(value);
  return text;
}

// Depth first. enter(node) is called for every node and says whether to go into it; leave(node) after its children,
// for those gone into.
template <typename Enter, typename Leave>
void walk(const xmlNode* root, const Enter& enter, const Leave& leave) {
  const xmlNode* node = root;
  while (node != nullptr) {
    if (enter(node)) {
      if (node->type == XML_ELEMENT_NODE && node->children != nullptr) {
        node = node->children;
        continue;
      }
      leave(node);
    }
    while (node != root && node->next == nullptr) {
      node = node->parent;
      leave(node);
    }
    if (node == root) return;
    node = node->next;
  }
}

}  // namespace attune
