// One typed value of a YAML file: what is accepted for a field of each type, and how the field is written
// again so that reading gives the same value.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "train/yaml_tree.h"

namespace attune {

// One of a few names, e.g. an enum; `get` and `set` use the index of the name.
struct Choice {
  std::vector<std::string> names;
  std::function<std::size_t()> get;
  std::function<void(std::size_t)> set;
};

// `names` in the order of the enumerators, which count from 0.
template <typename Enum>
Choice choice(Enum& field, std::vector<std::string> names) {
  return {std::move(names), [&field] { return static_cast<std::size_t>(field); },
          [&field](std::size_t index) { field = static_cast<Enum>(index); }};
}

using TextList = std::vector<std::string>;
using TextOrList = std::variant<std::string, TextList>;
template <typename Number>
using Pattern = std::vector<std::pair<std::string, Number>>;  // in order of writing

// Where a value goes; the type decides what YAML is accepted. A TextList also accepts one text; uint64 is a
// number of bytes ("5GB", "512MiB"; 0 is written "auto").
using Field = std::variant<std::string*, std::int64_t*, double*, bool*, std::uint64_t*, Choice, TextList*, TextOrList*,
                           Pattern<std::int64_t>*, Pattern<double>*>;

struct NumberRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;  // the bound itself is outside
};

struct Key {
  std::string name;        // "lora.r"; the part before the dot is the group
  Field field;             // points into the struct that the table was made for
  std::string help;        // one or two sentences: meaning, and why this default
  NumberRange range = {};  // of numbers, those in a Pattern included
};

// False, and nothing changed, when `node` does not fit the key's type and range.
bool assign(const Key& key, const YamlNode& node);

std::string value_text(const Field& field);        // the present value as YAML, on one line
std::string type_text(const Key& key);             // "a whole number from 1 to 10": what assign accepts
std::string found_text(const YamlNode& node);      // "a list", or the text itself, cut short
std::string quoted_text(const std::string& text);  // in double quotes, escaped

}  // namespace attune
