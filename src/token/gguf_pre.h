// llama.cpp's names for the ways in which a byte-level tokenizer cuts a text before BPE sees it (tokenizer.ggml.pre).
// Unlike llama.cpp's converter, which compares the ids of one test text, attune compares the rules themselves, so that a
// tokenizer with more tokens than its original still finds its name.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace attune {

struct GgufPre {
  std::string_view name;
  bool digits;             // every digit is a piece of its own, first
  std::string_view regex;  // empty: GPT-2's, which ByteLevel itself applies
  bool ignore_merges;      // a piece that is a token is that token
  bool composes;           // the model's own tokenizer normalizes to NFC first, which llama.cpp leaves out
};

// The entry whose rules the "pre_tokenizer" of a tokenizer.json has. Throws Unsupported, its message beginning with
// `where`, when there is none.
const GgufPre& recognise_gguf_pre(const Json& pre_tokenizer, const std::string& where);

// The entry of a name that llama.cpp knows; Unsupported when attune does not.
const GgufPre& find_gguf_pre(const std::string& name, const std::string& where);

// The "pre_tokenizer" of a tokenizer.json with these rules.
Json pre_tokenizer_json(const GgufPre& pre);

}  // namespace attune
