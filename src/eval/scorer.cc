#include "eval/scorer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/pass.h"
#include "train/step.h"

namespace attune {
namespace {

constexpr std::int64_t kLeastPassTokens = 512;  // of a pass: short rows share one
constexpr std::int64_t kHeadRows = 64;          // logits at a time

std::int64_t padded(std::int64_t tokens) { return (tokens + kTokenMultiple - 1) / kTokenMultiple * kTokenMultiple; }

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

void add(HeadLoss& sum, double loss) {
  sum.sum += loss;
  ++sum.tokens;
}

double loss_of(std::span<const float> logits, std::int32_t target) {
  return log_sum_exp(logits) - logits[static_cast<std::size_t>(target)];
}

}  // namespace

double mean_loss(const HeadLoss& loss) { return loss.sum / static_cast<double>(loss.tokens); }

double loss_increase(const HeadLoss& before, const HeadLoss& after) { return mean_loss(after) / mean_loss(before) - 1; }

double kl_divergence(std::span<const float> p, std::span<const float> q) {
  const double sum_p = log_sum_exp(p), sum_q = log_sum_exp(q);
  double kl = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - sum_p;
    kl += std::exp(log_p) * (log_p - (q[i] - sum_q));
  }
  return kl;
}

Scorer::Scorer(const Model& model, std::int64_t row_tokens, DType act, const EvalWatch& watch)
    : watch_(watch), row_tokens_(row_tokens) {
  const ModelConfig& c = model.config;
  PassOptions options;
  options.tokens = padded(std::max(row_tokens, kLeastPassTokens));
  options.positions = padded(row_tokens);
  options.act = act;
  options.head_rows = kHeadRows;
  options.lora_ranks = lora_ranks_of(model);
  MemoryPlan plan;
  const ActivationPlan activations = plan_activations(plan, c, options);
  std::array<BufferId, 2> normed, logits;
  for (std::size_t side = 0; side < 2; ++side) {
    normed[side] = plan.add("gathered", BufferKind::kActivations, act, {options.tokens + kHeadRows, c.hidden_size});
    logits[side] = plan.add("logits", BufferKind::kActivations, DType::kF32, {kHeadRows, c.vocab_size});
  }
  plan.place();
  arena_ = Arena(plan);
  activations_ = bind_activations(activations, arena_, c);
  for (std::size_t side = 0; side < 2; ++side) {
    gathered_[side] = activations_;
    gathered_[side].normed = arena_.view(normed[side]);
    logits_[side] = arena_.view(logits[side]);
  }
  batch_.reserve(options.tokens);
}

HeadLoss Scorer::loss(const Model& model, const TokenizedDataset& rows, std::string_view what) {
  HeadLoss sum;
  std::int64_t done = 0;
  for (const PackedRow& row : pack_in_order(rows.lengths(), activations_.normed.rows())) {
    watch_.step(what, done, rows.rows());
    fill_batch(batch_, rows, {&row, 1});
    const HeadLoss part = loss_only(model, pass_input(batch_), targets_of(batch_), {}, activations_);
    sum.sum += part.sum;
    sum.tokens += part.tokens;
    done += std::ssize(row);
  }
  watch_.step(what, done, rows.rows());
  return sum;
}

// The rows of the last pass that predict a trained token.
void Scorer::gather(TensorView to) {
  std::int64_t count = 0;
  for (std::size_t t = 0; t < batch_.targets.size(); ++t) {
    if (batch_.targets[t] == kNoTarget) continue;
    const TensorView from = activations_.normed.slice_rows(static_cast<std::int64_t>(t), 1);
    std::memcpy(to.slice_rows(count++, 1).data, from.data, from.bytes());
  }
}

void Scorer::project(const Model& model, std::size_t side, std::int64_t first, std::int64_t count) {
  // Whole multiples, so that products come in few shapes; rows beyond the gathered ones hold what was there.
  project_logits(logits_[side].slice_rows(0, padded(count)), model, first, gathered_[side]);
}

void Scorer::visit_logits(std::span<const Model* const> models, const TokenizedDataset& rows, std::string_view what,
                          const Visit& visit) {
  std::int64_t done = 0;
  std::vector<std::pair<std::int32_t, std::int32_t>> targets;  // row and token
  for (const PackedRow& packed : pack_in_order(rows.lengths(), activations_.normed.rows())) {
    watch_.step(what, done, rows.rows());
    fill_batch(batch_, rows, {&packed, 1});
    targets.clear();
    for (std::size_t s = 0; s < packed.size(); ++s) {
      for (std::int32_t t = batch_.sequence_starts[s]; t < batch_.sequence_starts[s + 1]; ++t) {
        const std::int32_t target = batch_.targets[static_cast<std::size_t>(t)];
        if (target != kNoTarget) targets.emplace_back(packed[s], target);
      }
    }
    for (std::size_t side = 0; side < models.size(); ++side) {
      forward(*models[side], pass_input(batch_), {}, activations_);
      gather(gathered_[side].normed);
    }
    for (std::int64_t first = 0; first < std::ssize(targets); first += kHeadRows) {
      const std::int64_t count = std::min(kHeadRows, std::ssize(targets) - first);
      for (std::size_t side = 0; side < models.size(); ++side) project(*models[side], side, first, count);
      for (std::int64_t i = 0; i < count; ++i) {
        const auto logits = [&](std::size_t side) {
          return std::span<const float>(logits_[side].slice_rows(i, 1).as<float>(),
                                        static_cast<std::size_t>(logits_[side].columns()));
        };
        const auto [row, target] = targets[static_cast<std::size_t>(first + i)];
        visit(row, target, logits(0), models.size() > 1 ? logits(1) : std::span<const float>());
      }
    }
    done += std::ssize(packed);
  }
  watch_.step(what, done, rows.rows());
}

std::vector<RowScores> Scorer::scores(const Model& model, const TokenizedDataset& rows, std::string_view what) {
  std::vector<RowScores> scores(static_cast<std::size_t>(rows.rows()));
  const Model* const models[] = {&model};
  visit_logits(
      models, rows, what,
      [&](std::int32_t row, std::int32_t target, std::span<const float> logits, std::span<const float>) {
        const float own = logits[static_cast<std::size_t>(target)];
        const bool likeliest = own >= *std::max_element(logits.begin(), logits.end());
        scores[static_cast<std::size_t>(row)].push_back({static_cast<float>(loss_of(logits, target)), likeliest});
      });
  return scores;
}

Divergence Scorer::compare(const Model& reference, const Model& other, const TokenizedDataset& rows,
                           std::string_view what) {
  Divergence sum;
  const Model* const models[] = {&reference, &other};
  visit_logits(models, rows, what,
               [&](std::int32_t, std::int32_t target, std::span<const float> p, std::span<const float> q) {
                 add(sum.reference, loss_of(p, target));
                 add(sum.other, loss_of(q, target));
                 sum.kl += kl_divergence(p, q);
               });
  sum.kl /= static_cast<double>(sum.reference.tokens);
  return sum;
}

}  // namespace attune
