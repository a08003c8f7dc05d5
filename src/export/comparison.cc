#include "export/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"
#include "model/pass.h"

namespace attune {
namespace {

constexpr std::int64_t kPassTokens = 1024;  // several rows in one pass: each reads all weights, perhaps from disk
constexpr std::int64_t kMlpRows = 256;      // of them at a time where they are widest
constexpr std::int64_t kLogitRows = 32;     // projected at a time

// Rows that go through a model together, end to end.
struct Pass {
  std::vector<std::int32_t> ids, positions, starts = {0};

  bool has_room_for(const EncodedConversation& row) const {
    return ids.empty() || std::ssize(ids) + std::ssize(row.tokens) <= kPassTokens;
  }
  void add(const EncodedConversation& row) {
    ids.insert(ids.end(), row.tokens.begin(), row.tokens.end());
    for (std::size_t i = 0; i < row.tokens.size(); ++i) positions.push_back(static_cast<std::int32_t>(i));
    starts.push_back(static_cast<std::int32_t>(ids.size()));
  }
  PassInput input() {
    const auto count = std::ssize(ids);
    return {{ids.data(), DType::kI32, {count}}, {positions.data(), DType::kI32, {count}}, starts};
  }
};

std::vector<Pass> passes_over(const std::vector<ComparedRow>& rows) {
  std::vector<Pass> passes(1);
  for (const ComparedRow& row : rows) {
    if (!passes.back().has_room_for(row.text)) passes.emplace_back();
    passes.back().add(row.text);
  }
  return passes;
}

PassOptions pass_options(const Model& model, std::int64_t tokens) {
  PassOptions options;
  options.tokens = options.positions = tokens;
  options.act = DType::kF32;
  options.mlp_rows = kMlpRows;
  options.head_rows = 1;
  options.lora_ranks = lora_ranks_of(model);
  return options;
}

// The head of a model over states that it made before.
class Head {
 public:
  explicit Head(const RowStates& rows) : model_(rows.model) {
    MemoryPlan plan;
    const ActivationPlan activations = plan_activations(plan, model_.config, pass_options(model_, 1));
    const BufferId logits =
        plan.add("logits", BufferKind::kActivations, DType::kF32, {kLogitRows, model_.config.vocab_size});
    plan.place();
    arena_ = Arena(plan);
    activations_ = bind_activations(activations, arena_, model_.config);
    activations_.normed = rows.states;
    logits_ = arena_.view(logits);
  }

  // Log-probabilities [count, V] of what follows the tokens [first, first + count); valid until the next call.
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

// Calls visit(t, p, q) for every masked token t of a row whose states begin at `start`: the log-probabilities [V] that
// the two models give to what stands in its place.
template <typename Visit>
void visit_masked(Head& first, Head& second, const EncodedConversation& row, std::int64_t start,
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

void add_score(Comparison& sums, TokenId token, const float* p, const float* q, std::int64_t vocabulary) {
  sums.first_loss -= p[token];
  sums.second_loss -= q[token];
  double divergence = 0;
  for (std::int64_t i = 0; i < vocabulary; ++i) divergence += std::exp(double{p[i]}) * (double{p[i]} - q[i]);
  sums.divergence += divergence;
  ++sums.tokens;
}

// Whether both find the same token the likeliest.
bool add_choice(Comparison& sums, const float* p, const float* q, std::int64_t vocabulary) {
  const float* const own = std::max_element(p, p + vocabulary);
  const auto other = std::max_element(q, q + vocabulary) - q;
  sums.choice_gap = std::max(sums.choice_gap, double{*own} - double{p[other]});
  return own - p == other;
}

}  // namespace

std::int64_t ComparisonData::tokens() const {
  std::int64_t sum = 0;
  for (const ComparedRow& row : rows) sum += std::ssize(row.text.tokens);
  return sum;
}

RowStates read_rows(const Model& model, const ComparisonData& data,
                    const std::function<void(std::int64_t tokens)>& on_pass) {
  std::vector<Pass> passes = passes_over(data.rows);
  std::size_t most_tokens = 1;
  for (const Pass& pass : passes) most_tokens = std::max(most_tokens, pass.ids.size());
  MemoryPlan kept;
  const BufferId states =
      kept.add("states", BufferKind::kActivations, DType::kF32, {data.tokens(), model.config.hidden_size});
  kept.place();
  RowStates result{model, Arena(kept), {}};
  result.states = result.arena.view(states);
  MemoryPlan plan;
  const ActivationPlan planned =
      plan_activations(plan, model.config, pass_options(model, static_cast<std::int64_t>(most_tokens)));
  plan.place();
  const Arena arena(plan);
  const Activations activations = bind_activations(planned, arena, model.config);
  std::int64_t done = 0;
  for (Pass& pass : passes) {
    if (interrupt_requested()) throw Interrupted("[merge] stopped; nothing was written");
    if (on_pass) on_pass(done);
    forward(model, pass.input(), {}, activations);
    const auto count = std::ssize(pass.ids);
    const TensorView from = activations.normed.slice_rows(0, count), to = result.states.slice_rows(done, count);
    std::memcpy(to.data, from.data, from.bytes());
    done += count;
  }
  if (on_pass) on_pass(done);
  return result;
}

// Where both find the same token the likeliest in every place of an answer that one of them gives, the other gives it as
// well.
Comparison compare_models(const RowStates& first, const RowStates& second, const ComparisonData& data) {
  Head one(first), two(second);
  const std::int64_t vocabulary = first.model.config.vocab_size;
  Comparison result;
  std::int64_t start = 0;
  for (const ComparedRow& row : data.rows) {
    bool same = true;
    visit_masked(one, two, row.text, start, vocabulary, [&](std::size_t t, const float* p, const float* q) {
      if (row.scored) add_score(result, row.text.tokens[t], p, q, vocabulary);
      if (row.chosen) same = add_choice(result, p, q, vocabulary) && same;
    });
    if (row.chosen) {
      ++result.answers;
      result.equal_answers += same ? 1 : 0;
    }
    start += std::ssize(row.text.tokens);
  }
  const double tokens = std::max<double>(1, static_cast<double>(result.tokens));
  result.first_loss /= tokens;
  result.second_loss /= tokens;
  result.divergence /= tokens;
  return result;
}

}  // namespace attune
