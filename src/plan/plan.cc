#include "plan/plan.h"

#include <algorithm>
#include <cmath>

#include "train/run_cost.h"

namespace attune {
namespace {

std::size_t weight_bytes(const ModelConfig& config, Quantization quantization, DType stored) {
  MemoryPlan plan;
  plan_weights(plan, config, quantization, stored);
  return plan.bytes_of(BufferKind::kWeights);
}

// Tokens of an update whose rows are full.
double tokens_of_step(const TrainRecipe& recipe) {
  return static_cast<double>(recipe.per_device_train_batch_size * recipe.max_length *
                             recipe.gradient_accumulation_steps);
}

PlanData describe(const TrainingData& data, const ModelConfig& config, const TrainRecipe& recipe, std::int64_t steps) {
  PlanData result;
  result.train_conversations = data.train_conversations;
  result.valid_conversations = data.valid_conversations;
  result.tokens = static_cast<std::int64_t>(data.train.tokens.size());
  result.trained_tokens = data.train.trained_tokens();
  for (const std::int64_t length : data.train.lengths()) {
    result.longest = std::max(result.longest, length);
    result.pairs += attended_pairs(config, length);
  }
  result.cut_rows = data.train.cut_rows;
  result.cut_tokens = data.train.cut_tokens;
  result.untrained_rows = data.train.untrained_rows;
  result.steps = steps;
  result.epochs = recipe.max_steps > 0
                      ? static_cast<double>(steps) * tokens_of_step(recipe) / static_cast<double>(result.tokens)
                      : recipe.num_train_epochs;
  return result;
}

}  // namespace

PlanData imagined_data(const ModelConfig& config, const TrainRecipe& recipe, std::int64_t conversations,
                       std::int64_t tokens) {
  PlanData data;
  data.train_conversations = conversations;
  data.longest = std::min(tokens, recipe.max_length);
  data.tokens = conversations * data.longest;
  data.trained_tokens = data.tokens / 2;
  data.pairs = static_cast<double>(conversations) * attended_pairs(config, data.longest);
  const double steps_of_epoch = std::ceil(static_cast<double>(data.tokens) / tokens_of_step(recipe));
  data.epochs = recipe.max_steps > 0 ? static_cast<double>(recipe.max_steps) / steps_of_epoch : recipe.num_train_epochs;
  data.steps =
      recipe.max_steps > 0 ? recipe.max_steps : static_cast<std::int64_t>(std::ceil(data.epochs * steps_of_epoch));
  return data;
}

Plan make_plan(const ModelSource& model, const Recipe& recipe, const TrainingData* data, std::size_t program_bytes) {
  Plan plan;
  plan.model = model;
  plan.recipe = recipe;
  const ModelConfig& config = model.config;
  const DType half = model.stored == DType::kF16 ? DType::kF16 : DType::kBF16;
  plan.weights = {weight_bytes(config, Quantization::kNone, DType::kF32),
                  weight_bytes(config, Quantization::kNone, half), weight_bytes(config, Quantization::kInt8, half),
                  weight_bytes(config, Quantization::kNF4, half)};
  plan.parameters = parameter_count(config);
  plan.linear_parameters = linear_parameter_count(config);
  std::int64_t pass_tokens = most_pass_tokens(recipe.train);
  if (data != nullptr) {
    const RunLength length = run_length(data->train, data->valid, recipe.train);
    pass_tokens = length.pass_tokens;
    plan.data = describe(*data, config, recipe.train, length.steps);
  }
  if (recipe.finetune == Finetune::kLora) plan.targets = find_targets(config, recipe.lora, "lora");
  plan.needs = run_needs(config, model.stored, recipe, pass_tokens);
  plan.needs.program_bytes = program_bytes;
  for (const NamedParameter& p : plan.needs.parameters) plan.trained_parameters += p.value.elements();
  plan.run = schedule_run(plan.needs, recipe);
  plan.kept = plan_run(plan.needs, recipe, roomy_schedule(plan.needs, recipe));
  plan.recomputed = plan_run(plan.needs, recipe, tight_schedule(plan.needs, recipe));
  return plan;
}

std::vector<BufferPlan> plan_buffers(const Plan& plan) {
  MemoryPlan held;
  if (plan.recipe.finetune == Finetune::kFull) {
    plan_trainable_weights(held, plan.model.config);
  } else {
    plan_weights(held, plan.model.config, held_quantization(plan.model.config, plan.recipe), plan.model.stored);
    plan_adapter(held, plan.model.config, plan.recipe.lora, true);
  }
  std::vector<BufferPlan> buffers = held.buffers();
  const auto& arena = plan.run.arena.buffers();
  buffers.insert(buffers.end(), arena.begin(), arena.end());
  return buffers;
}

}  // namespace attune
