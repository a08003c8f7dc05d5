// What the model is told: three text files that the user may edit, with {{names}} to be filled in.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace attune {

struct Prompts {
  std::string pairs;  // pairs.txt: questions and answers that stand alone. {{document}} {{heading}} {{chunk}} {{count}}
  std::string conversation;  // conversation.txt: the same as one conversation of {{count}} exchanges
  std::string judge;         // judge.txt: a score for {{conversation}} by {{chunk}}
  std::string version;       // the first 12 digits of the SHA-256 of all three
};

// UserError naming the file for one that is missing, empty, without its {{chunk}}, or with a name that means nothing.
Prompts load_prompts(const fs::path& folder);

using PromptValues = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// What is filled in is not looked at again, whatever it holds.
std::string fill_prompt(std::string_view prompt, PromptValues values);

}  // namespace attune
