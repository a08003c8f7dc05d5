// A table that binds the dotted keys of a YAML file to the fields of a struct. Reading, the check for unknown
// keys,
// --set, writing and the printed reference all walk the same table, so a key is described exactly once.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "train/key_value.h"

namespace attune {

// A key, or a whole group, that other tools or later versions know and this one cannot honour.
struct RefusedKey {
  std::string name;
  std::string accepted;  // the value that asks for nothing ("false"), or empty when there is none
  std::string reason;    // ends with what to do
};

struct KeyProblem {
  std::string line;  // "[place] what; what to do"
  bool unsupported = false;
};

// What reading leaves besides the values: where each given key was written, and everything that is wrong.
struct KeysRead {
  std::map<std::string, std::string> place_of;  // key -> "file:line" or "--set key"
  std::vector<KeyProblem> problems;
};

// Assigns what `tree` gives; keys that are absent or null keep their value. Never throws for wrong input: see
// problems.
void read_keys(std::span<const Key> keys, std::span<const RefusedKey> refused, const YamlNode& tree,
               const std::string& where, KeysRead& read);

// One "a.b=value" of the command line; the value is YAML ("[q_proj, v_proj]").
void read_override(std::span<const Key> keys, std::span<const RefusedKey> refused, const std::string& assignment,
                   KeysRead& read);

// Throws the problems, one per line, as Unsupported when all are, else as UserError; returns when there are
// none.
void raise_problems(const std::vector<KeyProblem>& problems);

// The values as YAML in table order (keys of one group must be neighbours); read_keys gives the same values
// back.
std::string write_keys(std::span<const Key> keys);

// Markdown that also reads well in a terminal: every key with type, range, present value as its default, and
// meaning.
std::string describe_keys(std::span<const Key> keys, std::span<const RefusedKey> refused);

}  // namespace attune
