// The memory of a run, planned before any of it exists: one arithmetic for `attune train`, which allocates
// it, and `attune plan`, which prints it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "batch/batch.h"
#include "model/activations.h"
#include "train/optimizer.h"
#include "train/recipe.h"

namespace attune {

// The activations' type that `compute` means on this processor.
DType activation_type(Compute compute);

// How the linears of the base are held: as the recipe says, but what bitsandbytes quantized stays NF4.
Quantization held_quantization(const ModelConfig& config, const Recipe& recipe);

// What the data makes of a run.
struct RunLength {
  std::int64_t steps = 0;
  std::int64_t pass_tokens = 0;  // of the largest micro-batch or held-out row, padded
};
RunLength run_length(const TokenizedDataset& train, const TokenizedDataset& valid, const TrainRecipe& recipe);

// The most tokens that a pass can have with any data.
std::int64_t most_pass_tokens(const TrainRecipe& recipe);

// What decides a run's memory beside its recipe.
struct RunNeeds {
  ModelConfig config;
  LoraRanks ranks;                         // empty: every weight is trained
  std::vector<NamedParameter> parameters;  // what is trained; only names and shapes matter here
  std::size_t weight_bytes = 0;            // the base as held
  DType stored = DType::kBF16;             // the type of its files
  std::int64_t pass_tokens = 0;
};

// Of a model in memory, with the adapter attached that will be trained (nullptr: every weight).
RunNeeds run_needs(const Model& model, const Adapter* adapter, std::int64_t pass_tokens);
// The same numbers without a model: as load_model and Adapter::create would make it. Throws as find_targets.
RunNeeds run_needs(const ModelConfig& config, DType stored, const Recipe& recipe, std::int64_t pass_tokens);

// Where the bytes of a run go.
struct RunMemory {
  std::size_t weights = 0, adapter = 0, gradients = 0;
  std::size_t arena = 0;  // activations, scratch, optimizer
  std::int64_t recomputed_blocks = 0;
  std::size_t total() const { return weights + adapter + gradients + arena; }
};

struct RunPlan {
  MemoryPlan arena;  // placed: what the run allocates
  ActivationPlan activations;
  OptimizerPlan optimizer;
  RunMemory memory;
};
RunPlan plan_run(const RunNeeds& needs, const Recipe& recipe, std::int64_t recomputed_blocks);

// The fastest schedule within recipe.memory: as few recomputed blocks as possible. When none fits, the
// smallest that train.gradient_checkpointing allows.
RunPlan schedule_run(const RunNeeds& needs, const Recipe& recipe);

// The nearest change of the recipe that fits recipe.memory.
struct NearestFit {
  std::vector<std::string> settings;  // "train.max_length=512", as --set takes them
  std::size_t bytes = 0;
};
std::optional<NearestFit> nearest_fit(const RunNeeds& needs, const Recipe& recipe);

// UserError naming need, budget and the nearest fit when the plan is over recipe.memory.
void check_budget(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe);

}  // namespace attune
