#include "generate/answers.h"

#include <algorithm>

#include "generate/engine.h"

namespace attune {
namespace {

class Collector : public AnswerSink {
 public:
  Collector(GivenAnswer& answer, std::int64_t& finished, const Tokenizer& tokenizer)
      : answer_(answer), finished_(finished), tokenizer_(tokenizer) {}
  bool wanted() override { return true; }
  void on_prompt(std::int64_t /*known_tokens*/) override {}
  bool on_token(const TokenChoice& choice) override {
    tokens_.push_back(choice.token);
    return true;
  }
  void on_finish(FinishReason reason) override {
    answer_ = {tokenizer_.decode(tokens_, true), reason == FinishReason::kStop};
    ++finished_;
  }

 private:
  GivenAnswer& answer_;
  std::int64_t& finished_;
  const Tokenizer& tokenizer_;
  std::vector<TokenId> tokens_;
};

}  // namespace

std::vector<GivenAnswer> answer_all(const Model& model, const Tokenizer& tokenizer, const std::vector<TokenId>& stops,
                                    std::span<const std::vector<TokenId>> prompts, const AnswerOptions& options,
                                    const std::function<void(std::int64_t finished)>& on_pass) {
  std::vector<GivenAnswer> answers(prompts.size());
  if (prompts.empty()) return answers;
  const auto longest = std::ranges::max(prompts, {}, [](const auto& prompt) { return prompt.size(); });
  EngineOptions engine_options;
  engine_options.context = std::ssize(longest) + options.max_tokens;
  if (options.context > 0) engine_options.context = std::min(engine_options.context, options.context);
  engine_options.sequences = std::min(options.at_once, std::ssize(prompts));
  engine_options.act = options.act;
  Engine engine(model, {lora_table_of(model)}, engine_options);
  std::int64_t finished = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    SequenceRequest request;
    request.prompt = prompts[i];
    request.adapter = 0;
    request.sampler = options.sampler;
    request.sampler.seed += i;
    request.max_new_tokens = options.max_tokens;
    request.stop_tokens = stops;
    engine.check(request);
    engine.add(std::move(request), std::make_shared<Collector>(answers[i], finished, tokenizer));
  }
  while (!engine.idle()) {
    on_pass(finished);
    engine.step();
  }
  on_pass(finished);
  return answers;
}

}  // namespace attune
