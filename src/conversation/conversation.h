// The conversation: what every importer produces and every tokenizer consumes. On disk it is JSONL, one
// object per line: {"messages":[{"role":"user","content":"..."},...]}, the form that TRL, Axolotl and the
// OpenAI API share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace attune {

struct Message {
  std::string role;     // "system", "user", "assistant" or "tool"
  std::string content;  // UTF-8

  bool operator==(const Message&) const = default;
};

struct Conversation {
  std::vector<Message> messages;

  bool operator==(const Conversation&) const = default;
};

Json to_json(const Conversation& conversation);

// to_json_line(to_json(conversation)), without building the tree: most of what an import writes is this.
std::string to_json_line(const Conversation& conversation);

// Throws BadFile naming `where` (file:line) and the offending message's index.
Conversation conversation_from_json(const Json& value, const std::string& where);

}  // namespace attune
