#include "train/key_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/nearest.h"

namespace attune {
namespace {

constexpr std::string_view kReference = "attune train --help-recipe lists every key";

std::string group_of(const std::string& name) { return name.substr(0, std::min(name.find('.'), name.size())); }

bool is_group(std::span<const Key> keys, std::span<const RefusedKey> refused, const std::string& name) {
  const auto inside = [&](const auto& key) { return key.name.starts_with(name + "."); };
  return std::any_of(keys.begin(), keys.end(), inside) || std::any_of(refused.begin(), refused.end(), inside);
}

// A key in the wrong group is more likely than one misspelt, so the same last part wins.
std::string suggestion(std::span<const Key> keys, const std::string& name) {
  std::vector<std::string> names;
  for (const Key& key : keys) {
    const std::string last = name.substr(name.rfind('.') + 1);
    if (key.name == last || key.name.ends_with("." + last)) return fmt::format("; did you mean {}?", key.name);
    names.push_back(key.name);
    names.push_back(group_of(key.name));
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) {  // misspelt and in the wrong group: compare the last parts alone
    std::vector<std::string> last_parts;
    for (const Key& key : keys) last_parts.push_back(key.name.substr(key.name.rfind('.') + 1));
    if (const auto nearest = nearest_name(name.substr(name.rfind('.') + 1), last_parts))
      return suggestion(keys, *nearest);
  }
  return hint.empty() ? fmt::format("; {}", kReference) : hint;
}

std::string choice_hint(const Key& key, const YamlNode& node) {
  const auto* choice = std::get_if<Choice>(&key.field);
  return choice && node.kind == YamlNode::Kind::kScalar ? did_you_mean(node.text, choice->names) : "";
}

void read_key(std::span<const Key> keys, std::span<const RefusedKey> refused, const std::string& name,
              const YamlNode& node, const std::string& place, KeysRead& read) {
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == name; });
  if (key != keys.end()) {
    if (node.kind == YamlNode::Kind::kNull) return;
    read.place_of[name] = place;
    if (!assign(*key, node)) {
      read.problems.push_back({fmt::format("[{}] {}: expected {}, got {}{}", place, name, type_text(*key),
                                           found_text(node), choice_hint(*key, node))});
    }
    return;
  }
  const auto no = std::find_if(refused.begin(), refused.end(), [&](const RefusedKey& r) { return r.name == name; });
  if (no != refused.end()) {
    const bool harmless = node.kind == YamlNode::Kind::kNull ||
                          (node.kind == YamlNode::Kind::kScalar && !no->accepted.empty() && node.text == no->accepted);
    if (!harmless) read.problems.push_back({fmt::format("[{}] {}: {}", place, name, no->reason), true});
    return;
  }
  read.problems.push_back({fmt::format("[{}] unknown key {}{}", place, name, suggestion(keys, name))});
}

void read_map(std::span<const Key> keys, std::span<const RefusedKey> refused, const std::string& prefix,
              const YamlNode& map, const std::string& where, KeysRead& read) {
  for (const YamlNode& child : map.children) {
    const std::string name = prefix + child.key;
    const std::string place = fmt::format("{}:{}", where, child.line);
    if (!is_group(keys, refused, name)) {
      read_key(keys, refused, name, child, place, read);
    } else if (child.kind == YamlNode::Kind::kMap) {
      read_map(keys, refused, name + ".", child, where, read);
    } else if (child.kind != YamlNode::Kind::kNull) {
      read.problems.push_back(
          {fmt::format("[{}] {}: expected a group of keys, got {}; {}", place, name, found_text(child), kReference)});
    }
  }
}

}  // namespace

void read_keys(std::span<const Key> keys, std::span<const RefusedKey> refused, const YamlNode& tree,
               const std::string& where, KeysRead& read) {
  if (tree.kind == YamlNode::Kind::kMap) {
    read_map(keys, refused, "", tree, where, read);
  } else if (tree.kind != YamlNode::Kind::kNull) {
    read.problems.push_back({fmt::format("[{}:{}] expected lines of key: value, got {}; {}", where, tree.line,
                                         found_text(tree), kReference)});
  }
}

void read_override(std::span<const Key> keys, std::span<const RefusedKey> refused, const std::string& assignment,
                   KeysRead& read) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    read.problems.push_back(
        {fmt::format("[--set] expected key=value, got {}; e.g. --set lora.r=8", quoted_text(assignment))});
    return;
  }
  const std::string name = assignment.substr(0, equals);
  const std::string place = "--set " + quoted_text(name).substr(1, quoted_text(name).size() - 2);
  try {
    const YamlNode value = parse_yaml(std::string_view(assignment).substr(equals + 1), place);
    if (is_group(keys, refused, name)) {
      read.problems.push_back({fmt::format("[{}] expected a key, got a group; e.g. --set lora.r=8", place)});
    } else {
      read_key(keys, refused, name, value, place, read);
    }
  } catch (const BadFile& error) {
    read.problems.push_back({error.what()});
  }
}

void raise_problems(const std::vector<KeyProblem>& problems) {
  if (problems.empty()) return;
  constexpr std::size_t kMost = 20;
  std::string text;
  for (const KeyProblem& problem : std::span(problems).first(std::min(problems.size(), kMost))) {
    text += (text.empty() ? "" : "\n") + problem.line;
  }
  if (problems.size() > kMost) text += fmt::format("\n... and {} more", problems.size() - kMost);
  if (std::all_of(problems.begin(), problems.end(), [](const KeyProblem& p) { return p.unsupported; })) {
    throw Unsupported(text);
  }
  throw UserError(text);
}

std::string write_keys(std::span<const Key> keys) {
  std::string text, open_group;
  for (const Key& key : keys) {
    const std::string group = group_of(key.name);
    if (group == key.name) {
      text += fmt::format("{}: {}\n", key.name, value_text(key.field));
      continue;
    }
    if (group != open_group) text += group + ":\n";
    open_group = group;
    text += fmt::format("  {}: {}\n", key.name.substr(group.size() + 1), value_text(key.field));
  }
  return text;
}

std::string describe_keys(std::span<const Key> keys, std::span<const RefusedKey> refused) {
  std::string text, open_group;
  for (const Key& key : keys) {
    const std::string group = group_of(key.name);
    const bool in_group = group != key.name;
    if (in_group && group != open_group) text += fmt::format("\n## {}\n\n", group);
    open_group = in_group ? group : "";
    const std::string value = value_text(key.field);
    const bool absent = value == "\"\"" || value == "[]";
    text += fmt::format("- `{}`: {}; {}.\n  {}\n", in_group ? key.name.substr(group.size() + 1) : key.name,
                        type_text(key), absent ? "no default" : fmt::format("default `{}`", value), key.help);
  }
  if (!refused.empty()) text += "\n## Refused\n\nKeys of other tools that this version knows and does not honour.\n\n";
  for (const RefusedKey& key : refused) text += fmt::format("- `{}`: {}.\n", key.name, key.reason);
  return text;
}

}  // namespace attune
