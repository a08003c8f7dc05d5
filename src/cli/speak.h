// What chat and generate share: which model speaks and how, and an answer that streams.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "generate/engine.h"
#include "token/tokenizer.h"

namespace attune {

struct SpeakOptions {
  std::string model, adapter;                // folders; adapter may be empty
  std::optional<Quantization> quantization;  // absent: see quantization_of()
  SamplerOptions sampler{.top_p = 0.9};
  std::optional<std::uint64_t> seed;  // absent: another one each time
  std::int64_t max_tokens = 512;
  std::int64_t context = 0;  // 0: see context_of()
  bool no_prompt_lookup = false;
};

void add_speak_options(CLI::App& command, SpeakOptions& options);

// Checks the numbers and draws the seed, before anything is loaded. UserError.
void settle(SpeakOptions& options);

// As asked; else nf4 when the linears of the blocks take more than 2 GB in 16 bit, and none below: a small model gains
// little from 4 bits and loses more to them.
Quantization quantization_of(const SpeakOptions& options, const ModelConfig& config);

// Tokens that prompt and answer may have together: as asked, else the model's own limit, 4096 at most. UserError when
// more is asked than the model has positions for.
std::int64_t context_of(const SpeakOptions& options, const ModelConfig& config);

// UserError ending in `instead` (what to do) when the folder has no chat template.
void require_chat_template(const fs::path& folder, const std::string& instead);

std::optional<fs::path> adapter_of(const SpeakOptions& options);

// What answers, one question at a time. Its adapter 0 is what is attached to the model now, if anything.
std::unique_ptr<Engine> open_engine(const SpeakOptions& options, const Model& model);

struct Answer {
  Generated generated;
  std::string text;
  double tokens_per_second() const;  // of the answer; 0 when there is nothing to measure
};

// Continues `prompt`, with the adapter (0) or without (-1); on_text receives the text piece by piece. Ctrl-C ends the
// answer (see base/interrupt.h). UserError when the prompt is too long.
Answer stream_answer(Engine& engine, std::int64_t adapter, const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                     const SpeakOptions& options, const std::vector<TokenId>& stops,
                     const std::function<void(std::string_view)>& on_text);

const char* name_of(FinishReason reason);  // "stop", "length", "interrupted"

}  // namespace attune
