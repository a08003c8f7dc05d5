#include "export/comparison.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/generator.h"
#include "model/pass.h"

namespace attune {
namespace {

constexpr std::int64_t kLogitRows = 32;  // projected at a time
constexpr std::int64_t kAnswerTokens = 32;

void stop_if_asked() {
  if (interrupt_requested()) throw Interrupted("[merge] stopped; nothing was written");
}

// One model with the buffers of a pass over up to `tokens` tokens.
class Scorer {
 public:
  Scorer(const Model& model, std::int64_t tokens) : model_(model) {
    PassOptions options;
    options.tokens = options.positions = tokens;
    options.act = DType::kF32;
    options.head_rows = 1;
    options.lora_ranks = lora_ranks_of(model);
    MemoryPlan plan;
    const ActivationPlan activations = plan_activations(plan, model.config, options);
    const BufferId logits =
        plan.add("logits", BufferKind::kActivations, DType::kF32, {kLogitRows, model.config.vocab_size});
    plan.place();
    arena_ = Arena(plan);
    activations_ = bind_activations(activations, arena_, model.config);
    logits_ = arena_.view(logits);
  }

  void run(std::span<const TokenId> tokens) {
    const auto count = static_cast<std::int64_t>(tokens.size());
    ids_.assign(tokens.begin(), tokens.end());
    positions_.resize(tokens.size());
    std::iota(positions_.begin(), positions_.end(), 0);
    const std::array<std::int32_t, 2> starts = {0, static_cast<std::int32_t>(count)};
    forward(model_, {{ids_.data(), DType::kI32, {count}}, {positions_.data(), DType::kI32, {count}}, starts}, {},
            activations_);
  }

  // Log-probabilities [count, V] after tokens [first, first + count) of the last run; valid until the next call.
  const float* log_probabilities(std::int64_t first, std::int64_t count) {
    const TensorView logits = logits_.slice_rows(0, count);
    project_logits(logits, model_, first, activations_);
    const std::int64_t vocabulary = logits.columns();
#pragma omp parallel for schedule(static)
    for (std::int64_t r = 0; r < count; ++r) {
      float* const row = logits.as<float>() + r * vocabulary;
      const float largest = *std::max_element(row, row + vocabulary);
      double sum = 0;
      for (std::int64_t i = 0; i < vocabulary; ++i) sum += std::exp(row[i] - largest);
      const float shift = largest + static_cast<float>(std::log(sum));
      for (std::int64_t i = 0; i < vocabulary; ++i) row[i] -= shift;
    }
    return logits.as<float>();
  }

 private:
  const Model& model_;
  Arena arena_;
  Activations activations_;
  TensorView logits_;
  std::vector<std::int32_t> ids_, positions_;
};

// Adds the scores of one row.
void score(Comparison& sums, Scorer& first, Scorer& second, const EncodedConversation& row, std::int64_t vocabulary) {
  first.run(row.tokens);
  second.run(row.tokens);
  const auto count = std::ssize(row.tokens);
  for (std::int64_t begin = 0; begin + 1 < count; begin += kLogitRows) {
    const std::int64_t rows = std::min(kLogitRows, count - 1 - begin);
    const auto* const mask = row.mask.data() + begin + 1;
    if (std::none_of(mask, mask + rows, [](std::uint8_t scored) { return scored != 0; })) continue;
    const float* const p = first.log_probabilities(begin, rows);
    const float* const q = second.log_probabilities(begin, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (mask[r] == 0) continue;
      const auto target = row.tokens[static_cast<std::size_t>(begin + r + 1)];
      const float *const a = p + r * vocabulary, *const b = q + r * vocabulary;
      sums.first_loss -= a[target];
      sums.second_loss -= b[target];
      double divergence = 0;
      for (std::int64_t i = 0; i < vocabulary; ++i) divergence += std::exp(double{a[i]}) * (double{a[i]} - b[i]);
      sums.divergence += divergence;
      ++sums.tokens;
    }
  }
}

std::vector<TokenId> greedy_answer(const Model& model, const std::vector<TokenId>& prompt,
                                   const std::vector<TokenId>& stops) {
  Session session(model, std::ssize(prompt) + kAnswerTokens, DType::kF32);
  GenerateOptions options;
  options.max_new_tokens = kAnswerTokens;
  options.stop_tokens = stops;
  options.sampler.temperature = 0;
  return generate(session, prompt, options).tokens;
}

}  // namespace

Comparison compare_models(const Model& first, const Model& second, const ComparisonData& data) {
  Comparison result;
  std::size_t longest = 1;
  for (const EncodedConversation& row : data.rows) longest = std::max(longest, row.tokens.size());
  {
    Scorer one(first, static_cast<std::int64_t>(longest)), two(second, static_cast<std::int64_t>(longest));
    for (const EncodedConversation& row : data.rows) {
      stop_if_asked();
      score(result, one, two, row, first.config.vocab_size);
    }
  }
  const double tokens = std::max<double>(1, static_cast<double>(result.tokens));
  result.first_loss /= tokens;
  result.second_loss /= tokens;
  result.divergence /= tokens;
  for (const std::vector<TokenId>& prompt : data.prompts) {
    stop_if_asked();
    ++result.answers;
    result.equal_answers +=
        greedy_answer(first, prompt, data.stops) == greedy_answer(second, prompt, data.stops) ? 1 : 0;
  }
  return result;
}

}  // namespace attune
