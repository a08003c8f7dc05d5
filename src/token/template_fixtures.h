// For tests: chat templates of real model families and what an answer becomes in each.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "token/chat_template.h"
#include "token/jinja/text.h"

namespace attune {

struct TemplateFixture {
  std::string name;  // file name
  std::string bos, eos;
  // Text that must be trained for an answer; `last`: of the last turn.
  std::function<std::string(const std::string& content, bool last)> answer;
  std::vector<std::string> stops;  // tokens that end a turn, eos aside
  bool takes_system = true, takes_empty = true;
  bool from_shared_data = false;

  std::string source() const {
    const fs::path root(ATTUNE_SOURCE_DIR);
    return read_file((from_shared_data ? root / "../shared/data/templates" : root / "tests/interop/templates") / name);
  }
  bool available() const {
    return !from_shared_data || fs::exists(fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/templates");
  }
  ChatTemplate load() const { return ChatTemplate(source(), bos, eos); }
};

inline std::string trimmed(const std::string& text) { return std::string(jinja::strip(text, jinja::kBoth)); }

// Special tokens of all fixtures.
inline const std::vector<std::string>& fixture_special_tokens() {
  static const std::vector<std::string> tokens = {"<s>",
                                                  "</s>",
                                                  "<|im_start|>",
                                                  "<|im_end|>",
                                                  "<|user|>",
                                                  "<|assistant|>",
                                                  "<|system|>",
                                                  "<|begin_of_text|>",
                                                  "<|start_header_id|>",
                                                  "<|end_header_id|>",
                                                  "<|eot_id|>",
                                                  "<|endoftext|>",
                                                  "<bos>",
                                                  "<eos>",
                                                  "<start_of_turn>",
                                                  "<end_of_turn>",
                                                  "<|end|>",
                                                  "[INST]",
                                                  "[/INST]",
                                                  "[SYSTEM_PROMPT]",
                                                  "[/SYSTEM_PROMPT]"};
  return tokens;
}

inline std::vector<TemplateFixture> template_fixtures() {
  using Text = std::string;
  const auto plain = [](Text before, Text after) {
    return [=](const Text& content, bool) { return before + content + after; };
  };
  const auto trims = [](Text before, Text after) {
    return [=](const Text& content, bool) { return before + trimmed(content) + after; };
  };
  const auto qwen3 = [](const Text& content, bool last) {
    const Text kept = last ? Text(jinja::strip(content, jinja::kLeft, "\n")) : content;
    return (last ? "<think>\n\n</think>\n\n" : "") + kept + "<|im_end|>";
  };
  std::vector<TemplateFixture> fixtures = {
      {"chatml.jinja", "", "<|im_end|>", plain("", "<|im_end|>"), {"<|im_end|>"}},
      {"chatml.jinja", "", "<|endoftext|>", plain("", "<|im_end|>"), {"<|im_end|>"}},
      {"chatml_no_prompt.jinja", "", "<|im_end|>", plain("", "<|im_end|>"), {"<|im_end|>"}},
      {"generation.jinja", "", "<|im_end|>", trims("", "<|im_end|>"), {"<|im_end|>"}},
      {"zephyr.jinja", "<s>", "</s>", plain("", "</s>"), {"</s>"}},
      {"llama2.jinja", "<s>", "</s>", trims(" ", " </s>"), {"</s>"}},
      {"llama3.jinja", "<|begin_of_text|>", "<|eot_id|>", trims("", "<|eot_id|>"), {"<|eot_id|>"}},
      {"llama3_1.jinja", "<|begin_of_text|>", "<|eot_id|>", trims("", "<|eot_id|>"), {"<|eot_id|>"}},
      {"qwen2.jinja", "", "<|im_end|>", plain("", "<|im_end|>"), {"<|im_end|>"}},
      {"qwen2_5.jinja", "", "<|im_end|>", plain("", "<|im_end|>"), {"<|im_end|>"}},
      {"qwen3.jinja", "", "<|im_end|>", qwen3, {"<|im_end|>"}},
      {"gemma.jinja", "<bos>", "<eos>", trims("", "<end_of_turn>"), {"<end_of_turn>"}, false},
      {"phi3.jinja", "<s>", "<|endoftext|>", plain("", "<|end|>"), {"<|end|>"}},
      {"plain_text.jinja", "<s>", "</s>", trims(" ", "</s>"), {"</s>"}},
  };
  for (const char* name : {"v1.jinja", "v3.jinja", "v3_spm.jinja", "v7.jinja", "v11.jinja", "v13.jinja", "v15.jinja"}) {
    const bool space = Text(name) == "v3_spm.jinja";
    fixtures.push_back({name, "<s>", "</s>", plain(space ? " " : "", "</s>"), {"</s>"}, true, false, true});
  }
  return fixtures;
}

}  // namespace attune
