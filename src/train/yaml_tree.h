// YAML from outside as a small tree that remembers its lines. It is built from yaml-cpp's events, not from
// YAML::Node: depth is bounded while parsing, and anchors, aliases and tags (with which a few bytes become
// gigabytes) never get in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                    // 1-based
  std::string key;                 // under which a map holds this node
  std::string text;                // of a scalar
  bool quoted = false;             // "16" is text where 16 is a number
  std::vector<YamlNode> children;  // of a list or map, in order of writing
};

// One document; an empty one is a null node. At most 256 KiB and 8 levels. `where` begins every message
// ("file:line"). Throws BadFile on what is not YAML, on duplicate keys, and on what the above rules out.
YamlNode parse_yaml(std::string_view text, const std::string& where);

}  // namespace attune
