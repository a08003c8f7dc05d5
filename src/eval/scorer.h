// How likely models find texts: the loss of the trained tokens of tokenized rows, which of them greedy decoding would
// choose, and how far the next-token distributions of two models are apart.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "batch/batch.h"
#include "eval/watch.h"
#include "model/activations.h"
#include "model/weights.h"
#include "ops/head_loss.h"

namespace attune {

double mean_loss(const HeadLoss& loss);                               // per token, in nats; NaN without a token
double loss_increase(const HeadLoss& before, const HeadLoss& after);  // of the mean, relative to `before`

// KL(p || q), in nats, of the distributions that two rows of logits mean.
double kl_divergence(std::span<const float> p, std::span<const float> q);

// Of a trained token after those before it.
struct TokenScore {
  float loss = 0;          // -log p(token)
  bool likeliest = false;  // no other token is more likely
};
using RowScores = std::vector<TokenScore>;  // of a row's trained tokens, in order

struct Divergence {
  HeadLoss reference, other;
  double kl = 0;  // mean over the tokens of KL(reference || other); NaN without a token
};

// Not copyable; one thread. Every method may throw Interrupted (see eval/watch.h).
class Scorer {
 public:
  // For models of the shape of `model`, whose adapter (if any) has the largest ranks, and rows of at most `row_tokens`.
  Scorer(const Model& model, std::int64_t row_tokens, DType act, const EvalWatch& watch);

  // `what` is shown as the title of the work.
  HeadLoss loss(const Model& model, const TokenizedDataset& rows, std::string_view what);
  std::vector<RowScores> scores(const Model& model, const TokenizedDataset& rows, std::string_view what);
  Divergence compare(const Model& reference, const Model& other, const TokenizedDataset& rows, std::string_view what);

  std::int64_t row_tokens() const { return row_tokens_; }

 private:
  // Logits [V] of the models (one or two) for the trained token `target` of row `row`.
  using Visit = std::function<void(std::int32_t row, std::int32_t target, std::span<const float> first,
                                   std::span<const float> second)>;
  void visit_logits(std::span<const Model* const> models, const TokenizedDataset& rows, std::string_view what,
                    const Visit& visit);
  void gather(TensorView to);
  void project(const Model& model, std::size_t side, std::int64_t first, std::int64_t count);

  const EvalWatch& watch_;
  std::int64_t row_tokens_;
  Arena arena_;
  Activations activations_;
  std::array<Activations, 2> gathered_;  // activations_ with the final norm's output at trained tokens only, per model
  std::array<TensorView, 2> logits_;     // [chunk, V] f32
  Batch batch_;
};

}  // namespace attune
