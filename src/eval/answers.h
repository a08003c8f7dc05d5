// The answers of a model to many prompts, a few at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eval/watch.h"
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
};

// In the order of `prompts`; with the adapter that is attached to the model. Answer i draws from sampler.seed + i, so
// that it does not depend on the others. `what` is shown as the title of the work. Throws Interrupted (see
// eval/watch.h).
std::vector<GivenAnswer> answer_all(const Model& model, const Tokenizer& tokenizer, const std::vector<TokenId>& stops,
                                    std::span<const std::vector<TokenId>> prompts, const AnswerOptions& options,
                                    std::string_view what, const EvalWatch& watch);

}  // namespace attune
