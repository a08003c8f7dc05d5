// The answers of a model to many prompts, a few at a time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "generate/sampler.h"
#include "model/weights.h"
#include "token/tokenizer.h"

namespace attune {

struct GivenAnswer {
  std::string text;
  bool ended = false;  // by itself, with an end-of-turn token
};

struct AnswerOptions {
  SamplerOptions sampler;
  std::int64_t max_tokens = 128;
  DType act = DType::kF32;
  std::int64_t at_once = 8;  // answers under way, at most
  std::int64_t context = 0;  // tokens of a prompt and its answer together, at most; 0: as many as the longest needs
};

// In the order of `prompts`; with the adapter that is attached to the model. Answer i draws from sampler.seed + i, so
// that it does not depend on the others. `on_pass` hears before every pass, and at the end, how many are finished; what
// it throws ends the work. UserError for a prompt that leaves no room in the context.
std::vector<GivenAnswer> answer_all(const Model& model, const Tokenizer& tokenizer, const std::vector<TokenId>& stops,
                                    std::span<const std::vector<TokenId>> prompts, const AnswerOptions& options,
                                    const std::function<void(std::int64_t finished)>& on_pass);

}  // namespace attune
