#include "export/comparison.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "export/greedy_answers.h"
#include "model/pass.h"

namespace attune {
namespace {

constexpr std::int64_t kPassTokens = 512;  // several rows in one pass: each reads all weights, perhaps from disk
constexpr std::int64_t kLogitRows = 32;    // projected at a time
constexpr std::int64_t kAnswerTokens = 32;

void stop_if_asked() {
  if (interrupt_requested()) throw Interrupted("[merge] stopped; nothing was written");
}

// Rows that go through the models together, end to end.
struct Pass {
  std::vector<const EncodedConversation*> rows;
  std::vector<std::int32_t> ids, positions, starts = {0};

  bool has_room_for(const EncodedConversation& row) const {
    return rows.empty() || std::ssize(ids) + std::ssize(row.tokens) <= kPassTokens;
  }
  void add(const EncodedConversation& row) {
    rows.push_back(&row);
    ids.insert(ids.end(), row.tokens.begin(), row.tokens.end());
    for (std::size_t i = 0; i < row.tokens.size(); ++i) positions.push_back(static_cast<std::int32_t>(i));
    starts.push_back(static_cast<std::int32_t>(ids.size()));
  }
  PassInput input() {
    const auto count = std::ssize(ids);
    return {{ids.data(), DType::kI32, {count}}, {positions.data(), DType::kI32, {count}}, starts};
  }
};

std::vector<Pass> passes_over(const std::vector<const EncodedConversation*>& rows) {
  std::vector<Pass> passes;
  for (const EncodedConversation* const row : rows) {
    if (passes.empty() || !passes.back().has_room_for(*row)) passes.emplace_back();
    passes.back().add(*row);
  }
  return passes;
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

  void run(Pass& pass) { forward(model_, pass.input(), {}, activations_); }

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
};

// Calls visit(t, p, q) for every masked token t of a row of the last pass, which begins at `start` there: the
// log-probabilities [V] that the two models give to what stands in its place.
template <typename Visit>
void visit_masked(Scorer& first, Scorer& second, const EncodedConversation& row, std::int64_t start,
                  std::int64_t vocabulary, const Visit& visit) {
  const auto count = std::ssize(row.tokens);
  for (std::int64_t begin = 0; begin + 1 < count; begin += kLogitRows) {
    const std::int64_t rows = std::min(kLogitRows, count - 1 - begin);
    const auto* const mask = row.mask.data() + begin + 1;
    if (std::none_of(mask, mask + rows, [](std::uint8_t scored) { return scored != 0; })) continue;
    const float* const p = first.log_probabilities(start + begin, rows);
    const float* const q = second.log_probabilities(start + begin, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      if (mask[r] != 0) visit(static_cast<std::size_t>(begin + r + 1), p + r * vocabulary, q + r * vocabulary);
    }
  }
}

// Adds the scores of one row.
void score(Comparison& sums, Scorer& first, Scorer& second, const EncodedConversation& row, std::int64_t start,
           std::int64_t vocabulary) {
  visit_masked(first, second, row, start, vocabulary, [&](std::size_t t, const float* p, const float* q) {
    sums.first_loss -= p[row.tokens[t]];
    sums.second_loss -= q[row.tokens[t]];
    double divergence = 0;
    for (std::int64_t i = 0; i < vocabulary; ++i) divergence += std::exp(double{p[i]}) * (double{p[i]} - q[i]);
    sums.divergence += divergence;
    ++sums.tokens;
  });
}

// Adds an answer that the first model gave. When both find the same token the likeliest in every place of it, the second
// gives it as well.
void compare_choices(Comparison& sums, Scorer& first, Scorer& second, const EncodedConversation& answer,
                     std::int64_t start, std::int64_t vocabulary) {
  bool same = true;
  visit_masked(first, second, answer, start, vocabulary, [&](std::size_t, const float* p, const float* q) {
    const float* const own = std::max_element(p, p + vocabulary);
    const auto other = std::max_element(q, q + vocabulary) - q;
    same = same && own - p == other;
    sums.choice_gap = std::max(sums.choice_gap, double{*own} - double{p[other]});
  });
  ++sums.answers;
  sums.equal_answers += same ? 1 : 0;
}

}  // namespace

Comparison compare_models(const Model& first, const Model& second, const ComparisonData& data) {
  Comparison result;
  const std::vector<EncodedConversation> answers = greedy_answers(first, data.prompts, data.stops, kAnswerTokens);
  std::vector<const EncodedConversation*> rows;
  for (const auto* const part : {&data.rows, &answers}) {
    for (const EncodedConversation& row : *part) rows.push_back(&row);
  }
  std::vector<Pass> passes = passes_over(rows);
  std::size_t most_tokens = 1;
  for (const Pass& pass : passes) most_tokens = std::max(most_tokens, pass.ids.size());
  Scorer one(first, static_cast<std::int64_t>(most_tokens)), two(second, static_cast<std::int64_t>(most_tokens));
  const std::int64_t vocabulary = first.config.vocab_size;
  std::size_t done = 0;
  for (Pass& pass : passes) {
    stop_if_asked();
    one.run(pass);
    two.run(pass);
    for (std::size_t i = 0; i < pass.rows.size(); ++i, ++done) {
      const EncodedConversation& row = *pass.rows[i];
      if (done < data.rows.size()) {
        score(result, one, two, row, pass.starts[i], vocabulary);
      } else {
        compare_choices(result, one, two, row, pass.starts[i], vocabulary);
      }
    }
  }
  const double tokens = std::max<double>(1, static_cast<double>(result.tokens));
  result.first_loss /= tokens;
  result.second_loss /= tokens;
  result.divergence /= tokens;
  return result;
}

}  // namespace attune
