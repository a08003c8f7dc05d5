#include "cli/recipe_values.h"

#include "train/yaml_tree.h"

namespace attune {
namespace {

std::string list_text(const YamlNode& list) {
  std::string text;
  for (const YamlNode& item : list.children) text += (text.empty() ? "" : ", ") + item.text;
  return "[" + text + "]";
}

void flatten(const YamlNode& node, const std::string& name, std::vector<std::pair<std::string, std::string>>& values) {
  if (node.kind == YamlNode::Kind::kMap) {
    for (const YamlNode& child : node.children)
      flatten(child, name.empty() ? child.key : name + "." + child.key, values);
  } else if (node.kind == YamlNode::Kind::kList) {
    values.emplace_back(name, list_text(node));
  } else if (node.kind == YamlNode::Kind::kScalar) {
    values.emplace_back(name, node.text);
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> recipe_values(const std::string& yaml, const std::string& where) {
  std::vector<std::pair<std::string, std::string>> values;
  flatten(parse_yaml(yaml, where), "", values);
  return values;
}

}  // namespace attune
