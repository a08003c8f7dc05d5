#include "export/greedy_answers.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/engine.h"
#include "generate/page_pool.h"

namespace attune {
namespace {

constexpr std::int64_t kCacheTokens =
    2048;  // keys and values of all: half a gigabyte at 7B; more prompts than fit wait

class AnswerRow : public AnswerSink {
 public:
  AnswerRow(EncodedConversation& row, const std::vector<TokenId>& stops) : row_(row), stops_(stops) {}
  bool wanted() override { return true; }
  void on_prompt(std::int64_t /*known_tokens*/) override {}
  bool on_token(const TokenChoice& choice) override {
    row_.tokens.push_back(choice.token);
    return std::find(stops_.begin(), stops_.end(), choice.token) == stops_.end();
  }
  void on_finish(FinishReason /*reason*/) override {}

 private:
  EncodedConversation& row_;
  const std::vector<TokenId>& stops_;
};

}  // namespace

std::vector<EncodedConversation> greedy_answers(const Model& model, const std::vector<std::vector<TokenId>>& prompts,
                                                const std::vector<TokenId>& stops, std::int64_t most_tokens,
                                                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  std::vector<EncodedConversation> rows;
  if (prompts.empty()) return rows;
  for (const std::vector<TokenId>& prompt : prompts) rows.push_back({prompt, {}});
  EngineOptions options;
  options.context = std::ssize(std::ranges::max(prompts, {}, &std::vector<TokenId>::size)) + most_tokens;
  options.sequences = std::ssize(prompts);
  const std::int64_t pages = (options.context + kPageTokens - 1) / kPageTokens;
  options.cache_tokens = std::min(kCacheTokens, options.sequences * pages * kPageTokens);
  options.prompt_lookup = false;
  Engine engine(model, {lora_table_of(model)}, options);
  for (EncodedConversation& row : rows) {
    SequenceRequest request;
    request.prompt = row.tokens;
    request.adapter = 0;
    request.sampler.temperature = 0;
    request.max_new_tokens = most_tokens;
    engine.add(std::move(request), std::make_shared<AnswerRow>(row, stops));
  }
  const auto all = static_cast<std::uint64_t>(options.sequences * most_tokens);
  std::uint64_t done = 0;
  while (!engine.idle()) {
    if (progress) progress(done, all);
    if (interrupt_requested()) throw Interrupted("[merge] stopped; nothing was written");
    done += static_cast<std::uint64_t>(engine.step().answer_tokens);
  }
  if (progress) progress(all, all);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].mask.assign(prompts[i].size(), 0);
    rows[i].mask.resize(rows[i].tokens.size(), 1);
  }
  return rows;
}

}  // namespace attune
