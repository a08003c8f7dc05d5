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
  std::size_t embedding_bytes = 0;         // that may be left on disk: 0 when the head or training needs the table
  std::size_t block_bytes = 0;             // of one block's linears, likewise; 0: weights cannot be streamed
  DType stored = DType::kBF16;             // the type of its files
  std::int64_t pass_tokens = 0;
  std::size_t program_bytes = 0;  // what the process holds without all this; 0: not counted
  std::size_t machine_bytes = 0;  // the budget of `memory: auto`; 0: none
};

// Of a model in memory, with the adapter attached that will be trained (nullptr: every weight). Nothing is streamed.
RunNeeds run_needs(const Model& model, const Adapter* adapter, std::int64_t pass_tokens);
// The same numbers without a model: as load_model and Adapter::create would make it. Throws as find_targets.
RunNeeds run_needs(const ModelConfig& config, DType stored, const Recipe& recipe, std::int64_t pass_tokens);

// What a run does to stay within its budget. Only `optimizer` changes results.
struct Schedule {
  std::vector<Keep> keep;        // of the first blocks; the others keep all
  std::int64_t mlp_rows = 0;     // tokens per chunk of the MLP; 0: all
  std::int64_t head_rows = 256;  // trained tokens per chunk of the head
  OptimizerKind optimizer = OptimizerKind::kAdamW;
  bool stream_embedding = false;     // left on disk, rows read when needed
  std::int64_t streamed_blocks = 0;  // the first so many, read from disk for every use
  bool operator==(const Schedule&) const = default;
  Streaming streaming() const { return {stream_embedding, streamed_blocks}; }

  std::int64_t recomputed_blocks() const;  // those that do not keep all
};

// Where the bytes of a run go.
struct RunMemory {
  std::size_t program = 0;  // the process itself: code, libraries, tokenizer, data, its threads' stacks and tiles
  std::size_t weights = 0;  // in memory: all but what is streamed, and the window it is read into
  std::size_t adapter = 0, gradients = 0;
  std::size_t arena = 0;     // activations, scratch, optimizer
  std::size_t streamed = 0;  // weights on disk, not in the total
  std::int64_t recomputed_blocks = 0;
  std::size_t total() const { return program + weights + adapter + gradients + arena; }
};

struct RunPlan {
  Schedule schedule;
  MemoryPlan arena;  // placed: what the run allocates
  ActivationPlan activations;
  OptimizerPlan optimizer;
  RunMemory memory;
};
PassOptions pass_options(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule);
RunPlan plan_run(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule);

// Bytes the run may take: recipe.memory, or with `auto` the machine's; 0: no limit.
std::size_t budget_of(const RunNeeds& needs, const Recipe& recipe);
bool fits(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe);

// The schedules at both ends: everything kept, and the least memory that the recipe allows.
Schedule roomy_schedule(const RunNeeds& needs, const Recipe& recipe);
Schedule tight_schedule(const RunNeeds& needs, const Recipe& recipe);

// The schedule within the budget that takes the least time on a nominal machine (train/run_cost.h): more memory is never
// slower, and the same run is always planned the same. When none fits, the tight one. train/run_schedule.cc says how it
// searches.
RunPlan schedule_run(const RunNeeds& needs, const Recipe& recipe);

// The nearest change of the recipe that fits the budget.
struct NearestFit {
  std::vector<std::string> settings;  // "train.max_length=512", as --set takes them
  std::size_t bytes = 0;
};
std::optional<NearestFit> nearest_fit(const RunNeeds& needs, const Recipe& recipe);

// UserError naming need, budget and the nearest fit when the plan is over the budget.
void check_budget(const RunPlan& plan, const RunNeeds& needs, const Recipe& recipe);

}  // namespace attune
