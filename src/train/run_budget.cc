// What to tell the user whose budget is too small: the nearest change of the recipe that fits.
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"
#include "train/run_plan.h"

namespace attune {
namespace {

// Shorter rows than this hold no exchange of a chat; no plan proposes them.
constexpr std::int64_t kLeastLength = 64;

// A changed recipe and what it needs.
struct Change {
  Recipe recipe;
  RunNeeds needs;
  std::vector<std::string> settings;

  Change with(const std::string& setting) const {
    Change changed = *this;
    changed.settings.push_back(setting);
    return changed;
  }
  Change with_batch(std::int64_t rows) const {
    Change changed = with(fmt::format("train.per_device_train_batch_size={}", rows));
    changed.recipe.train.per_device_train_batch_size = rows;
    return changed.within();
  }
  Change with_length(std::int64_t tokens) const {
    Change changed = with(fmt::format("train.max_length={}", tokens));
    changed.recipe.train.max_length = tokens;
    return changed.within();
  }
  bool possible() const { return fits(plan_run(needs, recipe, tight_schedule(needs, recipe)), needs, recipe); }
  NearestFit fit() const { return {settings, schedule_run(needs, recipe).memory.total()}; }

 private:
  Change& within() {
    needs.pass_tokens = std::min(needs.pass_tokens, most_pass_tokens(recipe.train));
    return *this;
  }
};

// Smaller batches, then shorter rows.
std::optional<NearestFit> fit_smaller_pass(const Change& start) {
  Change change = start;
  for (std::int64_t rows = start.recipe.train.per_device_train_batch_size / 2; rows >= 1; rows /= 2) {
    change = start.with_batch(rows);
    if (change.possible()) return change.fit();
  }
  std::int64_t low = kLeastLength / kTokenMultiple, high = (start.recipe.train.max_length - 1) / kTokenMultiple,
               best = 0;
  while (low <= high) {
    const std::int64_t middle = (low + high) / 2;
    if (change.with_length(middle * kTokenMultiple).possible()) {
      best = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  if (best == 0) return std::nullopt;
  return change.with_length(best * kTokenMultiple).fit();
}

}  // namespace

std::optional<NearestFit> nearest_fit(const RunNeeds& needs, const Recipe& recipe) {
  Change change{recipe, needs, {}};
  if (recipe.train.gradient_checkpointing == Checkpointing::kOff) {
    change = change.with("train.gradient_checkpointing=auto");
    change.recipe.train.gradient_checkpointing = Checkpointing::kAuto;
    if (change.possible()) return change.fit();
  }
  if (recipe.train.optim == OptimizerKind::kAdamW || recipe.train.optim == OptimizerKind::kAdamWBf16) {
    Change smaller = change.with("train.optim=auto");
    smaller.recipe.train.optim = OptimizerKind::kAuto;
    if (smaller.possible()) return smaller.fit();
  }
  if (const auto fit = fit_smaller_pass(change)) return fit;
  if (recipe.finetune == Finetune::kFull || recipe.quantization == Quantization::kNF4) return std::nullopt;
  change = change.with("quantization=nf4");
  change.recipe.quantization = Quantization::kNF4;
  const RunNeeds quantized = run_needs(needs.config, needs.stored, change.recipe, needs.pass_tokens);
  change.needs.weight_bytes = quantized.weight_bytes;
  if (needs.block_bytes > 0) change.needs.block_bytes = quantized.block_bytes;
  if (change.possible()) return change.fit();
  return fit_smaller_pass(change);
}

void check_budget(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe) {
  if (fits(plan, needs, recipe)) return;
  const std::string refused =
      fmt::format("[memory] the run needs {} and {} {}", format_bytes(static_cast<double>(plan.memory.total())),
                  recipe.memory > 0 ? "the budget is" : "this machine has",
                  format_bytes(static_cast<double>(budget_of(needs, recipe))));
  const auto fit = nearest_fit(needs, recipe);
  if (!fit) {
    throw UserError("{}; no shorter rows or smaller batches fit: raise the budget or choose a smaller model", refused);
  }
  throw UserError("{}; the nearest that fits needs {}: --set {}", refused,
                  format_bytes(static_cast<double>(fit->bytes)), fmt::join(fit->settings, " --set "));
}

}  // namespace attune
