#include "synth/prompts.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxPromptBytes = 1 << 16;

using Names = std::vector<std::string>;

// Calls visit(text) and visit_name(name) for the parts of a prompt in turn.
template <typename Visit, typename VisitName>
void split(std::string_view prompt, const Visit& visit, const VisitName& visit_name) {
  while (!prompt.empty()) {
    const std::size_t open = prompt.find("{{");
    const std::size_t close = open == prompt.npos ? open : prompt.find("}}", open);
    if (close == prompt.npos) return visit(prompt);
    visit(prompt.substr(0, open));
    visit_name(prompt.substr(open + 2, close - open - 2));
    prompt.remove_prefix(close + 2);
  }
}

std::string load(const fs::path& path, const Names& names, const Names& required) {
  std::string prompt = read_file(path, kMaxPromptBytes);
  if (!is_valid_utf8(prompt)) throw UserError("[{}] expected UTF-8 text", path.string());
  Names used;
  split(
      prompt, [](std::string_view) {}, [&](std::string_view name) { used.emplace_back(name); });
  for (const std::string& name : used) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw UserError("[{}] {{{{{}}}}} means nothing here{}", path.string(), name, did_you_mean(name, names));
    }
  }
  for (const std::string& name : required) {
    if (std::find(used.begin(), used.end(), name) == used.end()) {
      throw UserError("[{}] expected {{{{{}}}}} somewhere in the prompt", path.string(), name);
    }
  }
  return prompt;
}

}  // namespace

Prompts load_prompts(const fs::path& folder) {
  const Names asking = {"document", "heading", "chunk", "count"};
  Prompts prompts;
  prompts.pairs = load(folder / "pairs.txt", asking, {"chunk"});
  prompts.conversation = load(folder / "conversation.txt", asking, {"chunk"});
  prompts.judge =
      load(folder / "judge.txt", {"document", "heading", "chunk", "conversation"}, {"chunk", "conversation"});
  prompts.version = sha256_hex(prompts.pairs + '\0' + prompts.conversation + '\0' + prompts.judge).substr(0, 12);
  return prompts;
}

std::string fill_prompt(std::string_view prompt, PromptValues values) {
  std::string filled;
  split(
      prompt, [&](std::string_view text) { filled += text; },
      [&](std::string_view name) {
        for (const auto& [key, value] : values) {
          if (key == name) filled += value;
        }
      });
  return filled;
}

}  // namespace attune
