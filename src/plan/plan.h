// What a run will take, before anything starts: the weights in every format, what is trained, and every byte of memory.
// The run's part comes from train/run_plan.h, which `attune train` allocates.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/model_source.h"
#include "train/run_plan.h"
#include "train/training_data.h"

namespace attune {

// The data of a run as tokens.
struct PlanData {
  std::int64_t train_conversations = 0, valid_conversations = 0;
  std::int64_t tokens = 0, trained_tokens = 0;  // per epoch: all, and those learnt
  std::int64_t longest = 0;                     // conversation, in tokens, after cutting
  std::int64_t cut_rows = 0, cut_tokens = 0, untrained_rows = 0;
  std::int64_t steps = 0;
  double epochs = 0;
  double pairs = 0;  // (query, key) that attention computes in an epoch, per head and block
};

// Data that is only imagined: so many conversations of so many tokens, half of them trained on, laid in full rows.
PlanData imagined_data(const ModelConfig& config, const TrainRecipe& recipe, std::int64_t conversations,
                       std::int64_t tokens);

// Bytes of the whole model, linears of the blocks in a format; embedding and head stay in 16 bit (f32: in 32), norms and
// biases are f32.
struct WeightBytes {
  std::size_t f32 = 0, bf16 = 0, int8 = 0, nf4 = 0;
};

struct Plan {
  ModelSource model;
  Recipe recipe;
  WeightBytes weights;
  std::int64_t parameters = 0, linear_parameters = 0, trained_parameters = 0;
  std::vector<AdapterTarget> targets;  // empty in full training
  RunNeeds needs;
  RunPlan run;               // what train would allocate
  RunPlan kept, recomputed;  // the same with everything kept, and with the least memory
  std::optional<PlanData> data;

  double trained_share() const { return static_cast<double>(trained_parameters) / static_cast<double>(parameters); }
  bool fits() const { return attune::fits(run, needs, recipe); }
};

// data: what load_training_data made of recipe.data, or nullptr: rows are then as long as they can be. Does not refuse a
// run over its budget: see check_budget() and Plan::fits(). program_bytes: what the process holds beside the run.
Plan make_plan(const ModelSource& model, const Recipe& recipe, const TrainingData* data, std::size_t program_bytes = 0);

// Every buffer of the run: weights, adapter, gradients and the arena's (which alone have offsets).
std::vector<BufferPlan> plan_buffers(const Plan& plan);

}  // namespace attune
