#include "train/run_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/progress.h"
#include "batch/stream.h"
#include "model/tensors.h"
#include "ops/matmul.h"

namespace attune {
namespace {

// Shorter rows than this hold no exchange of a chat; no plan proposes them.
constexpr std::int64_t kLeastLength = 64;

std::int64_t padded(std::int64_t tokens) { return (tokens + kTokenMultiple - 1) / kTokenMultiple * kTokenMultiple; }

// Bytes of the base as load_model (or, for full training, load_trainable_model) holds it.
std::size_t planned_weight_bytes(const ModelConfig& config, DType stored, const Recipe& recipe) {
  MemoryPlan plan;
  if (recipe.finetune == Finetune::kFull) {
    plan_trainable_weights(plan, config);
  } else {
    plan_weights(plan, config, held_quantization(config, recipe), stored);
  }
  return plan.bytes_of(BufferKind::kWeights);
}

NamedParameter described(const BufferPlan& row) { return {row.name, {nullptr, row.dtype, row.shape}, {}}; }

std::size_t f32_bytes(std::span<const NamedParameter> parameters) {
  std::size_t bytes = 0;
  for (const NamedParameter& p : parameters) bytes += static_cast<std::size_t>(p.value.elements()) * sizeof(float);
  return bytes;
}

bool fits(const RunPlan& plan, const Recipe& recipe) {
  return recipe.memory == 0 || plan.memory.total() <= recipe.memory;
}

// A changed recipe and what it needs.
struct Change {
  Recipe recipe;
  RunNeeds needs;
  std::vector<std::string> settings;

  void set_batch(std::int64_t rows) { recipe.train.per_device_train_batch_size = rows; }
  void set_length(std::int64_t tokens) { recipe.train.max_length = tokens; }
  std::optional<NearestFit> fit(std::int64_t tokens_now) {
    needs.pass_tokens = std::min(tokens_now, most_pass_tokens(recipe.train));
    const RunPlan plan = schedule_run(needs, recipe);
    if (!fits(plan, recipe)) return std::nullopt;
    return NearestFit{settings, plan.memory.total()};
  }
};

// Smaller batches, then shorter rows.
std::optional<NearestFit> fit_smaller_pass(const Change& start) {
  const std::int64_t tokens = start.needs.pass_tokens;
  Change change = start;
  for (std::int64_t rows = start.recipe.train.per_device_train_batch_size / 2; rows >= 1; rows /= 2) {
    change = start;
    change.set_batch(rows);
    change.settings.push_back(fmt::format("train.per_device_train_batch_size={}", rows));
    if (const auto fit = change.fit(tokens)) return fit;
  }
  std::optional<NearestFit> best;
  std::int64_t low = kLeastLength / kTokenMultiple, high = (start.recipe.train.max_length - 1) / kTokenMultiple;
  while (low <= high) {
    const std::int64_t middle = (low + high) / 2;
    Change shorter = change;
    shorter.set_length(middle * kTokenMultiple);
    shorter.settings.push_back(fmt::format("train.max_length={}", middle * kTokenMultiple));
    if (const auto fit = shorter.fit(tokens)) {
      best = fit;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return best;
}

}  // namespace

DType activation_type(Compute compute) {
  if (compute == Compute::kAuto) return has_fast_bf16() ? DType::kBF16 : DType::kF32;
  return compute == Compute::kBF16 ? DType::kBF16 : DType::kF32;
}

Quantization held_quantization(const ModelConfig& config, const Recipe& recipe) {
  const bool quantized_files = config.source.is_object() && config.source.contains("quantization_config");
  return quantized_files ? Quantization::kNF4 : recipe.quantization;
}

RunLength run_length(const TokenizedDataset& train, const TokenizedDataset& valid, const TrainRecipe& recipe) {
  const PackingOptions packing{recipe.max_length, recipe.packing, static_cast<std::uint64_t>(recipe.seed)};
  const BatchStream batches(train, packing, recipe.per_device_train_batch_size);
  RunLength length;
  double epochs = recipe.max_steps > 0 ? std::numeric_limits<double>::infinity() : recipe.num_train_epochs;
  for (std::int64_t epoch = 0; epochs > 0; ++epoch, epochs -= 1) {
    const BatchStream::EpochSize size = batches.size_of_epoch(epoch);
    const std::int64_t steps =
        (size.batches + recipe.gradient_accumulation_steps - 1) / recipe.gradient_accumulation_steps;
    length.pass_tokens = std::max(length.pass_tokens, size.largest_tokens);
    length.steps += epochs >= 1 ? steps : static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(steps)));
    if (recipe.max_steps > 0 && length.steps >= recipe.max_steps) break;
  }
  if (recipe.max_steps > 0) length.steps = recipe.max_steps;
  // Held-out rows go through the same buffers, one row at least.
  for (std::int64_t i = 0; i < valid.rows(); ++i) {
    length.pass_tokens = std::max(length.pass_tokens, padded(valid.length(i)));
  }
  return length;
}

std::int64_t most_pass_tokens(const TrainRecipe& recipe) {
  return padded(recipe.per_device_train_batch_size * recipe.max_length);
}

RunNeeds run_needs(const Model& model, const Adapter* adapter, std::int64_t pass_tokens) {
  RunNeeds needs;
  needs.config = model.config;
  if (adapter != nullptr) needs.ranks = lora_ranks_of(model);
  needs.parameters = parameters_to_train(model, adapter);
  needs.weight_bytes = model.weight_bytes;
  needs.stored = model.embedding.dtype;
  needs.pass_tokens = pass_tokens;
  return needs;
}

RunNeeds run_needs(const ModelConfig& config, DType stored, const Recipe& recipe, std::int64_t pass_tokens) {
  RunNeeds needs;
  needs.config = config;
  needs.weight_bytes = planned_weight_bytes(config, stored, recipe);
  needs.stored = stored;
  needs.pass_tokens = pass_tokens;
  MemoryPlan plan;
  if (recipe.finetune == Finetune::kFull) {
    plan_trainable_weights(plan, config);
  } else {
    plan_adapter(plan, config, recipe.lora, true);
    needs.ranks.resize(static_cast<std::size_t>(config.layers));
    for (const AdapterTarget& target : find_targets(config, recipe.lora, "lora")) {
      needs.ranks[static_cast<std::size_t>(target.layer)][static_cast<std::size_t>(target.slot)] = target.rank;
    }
  }
  for (const BufferPlan& row : plan.buffers()) {
    if (row.kind != BufferKind::kGradients) needs.parameters.push_back(described(row));
  }
  return needs;
}

RunPlan plan_run(const RunNeeds& needs, const Recipe& recipe, std::int64_t recomputed_blocks) {
  const bool lora = !needs.ranks.empty();
  PassOptions options;
  options.tokens = needs.pass_tokens;
  options.positions = recipe.train.max_length;
  options.act = activation_type(recipe.compute);
  options.backward = true;
  options.full_training = !lora;
  options.recomputed_blocks = recomputed_blocks;
  options.lora_ranks = needs.ranks;
  options.lora_dropout = lora && recipe.lora.lora_dropout > 0;
  RunPlan plan;
  plan.activations = plan_activations(plan.arena, needs.config, options);
  plan.optimizer = plan_optimizer(plan.arena, needs.parameters);
  plan.arena.place();
  const std::size_t trained = f32_bytes(needs.parameters);
  plan.memory = {needs.weight_bytes, lora ? trained : 0, trained, plan.arena.arena_bytes(), recomputed_blocks};
  return plan;
}

RunPlan schedule_run(const RunNeeds& needs, const Recipe& recipe) {
  const std::int64_t layers = needs.config.layers;
  if (recipe.train.gradient_checkpointing == Checkpointing::kOn) return plan_run(needs, recipe, layers);
  RunPlan plan = plan_run(needs, recipe, 0);
  if (recipe.train.gradient_checkpointing == Checkpointing::kOff || fits(plan, recipe)) return plan;
  // One recomputed block saves nothing (its buffers are the shared ones), so the search begins at two; from
  // there on each block more needs less.
  std::int64_t low = std::min<std::int64_t>(2, layers), high = layers;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (fits(plan_run(needs, recipe, middle), recipe)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return plan_run(needs, recipe, low);
}

std::optional<NearestFit> nearest_fit(const RunNeeds& needs, const Recipe& recipe) {
  Change change{recipe, needs, {}};
  if (recipe.train.gradient_checkpointing == Checkpointing::kOff) {
    change.recipe.train.gradient_checkpointing = Checkpointing::kAuto;
    change.settings.emplace_back("train.gradient_checkpointing=auto");
    if (const auto fit = change.fit(needs.pass_tokens)) return fit;
  }
  if (const auto fit = fit_smaller_pass(change)) return fit;
  if (recipe.finetune == Finetune::kFull || recipe.quantization == Quantization::kNF4) return std::nullopt;
  change.recipe.quantization = Quantization::kNF4;
  change.needs.weight_bytes = planned_weight_bytes(needs.config, needs.stored, change.recipe);
  change.settings.emplace_back("quantization=nf4");
  if (const auto fit = change.fit(needs.pass_tokens)) return fit;
  return fit_smaller_pass(change);
}

void check_budget(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe) {
  if (fits(plan, recipe)) return;
  const std::string refused = fmt::format("[memory] the run needs {} and the budget is {}",
                                          format_bytes(static_cast<double>(plan.memory.total())),
                                          format_bytes(static_cast<double>(recipe.memory)));
  const auto fit = nearest_fit(needs, recipe);
  if (!fit) {
    throw UserError("{}; no shorter rows or smaller batches fit: raise the budget or choose a smaller model", refused);
  }
  throw UserError("{}; the nearest that fits needs {}: --set {}", refused,
                  format_bytes(static_cast<double>(fit->bytes)), fmt::join(fit->settings, " --set "));
}

}  // namespace attune
