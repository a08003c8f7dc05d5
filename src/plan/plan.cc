#include "plan/plan.h"

#include <algorithm>

namespace attune {
namespace {

std::size_t weight_bytes(const ModelConfig& config, Quantization quantization, DType stored) {
  MemoryPlan plan;
  plan_weights(plan, config, quantization, stored);
  return plan.bytes_of(BufferKind::kWeights);
}

PlanData describe(const TrainingData& data, std::int64_t steps) {
  PlanData result;
  result.train_conversations = data.train_conversations;
  result.valid_conversations = data.valid_conversations;
  result.tokens = static_cast<std::int64_t>(data.train.tokens.size());
  result.trained_tokens = data.train.trained_tokens();
  for (const std::int64_t length : data.train.lengths()) result.longest = std::max(result.longest, length);
  result.cut_rows = data.train.cut_rows;
  result.cut_tokens = data.train.cut_tokens;
  result.untrained_rows = data.train.untrained_rows;
  result.steps = steps;
  return result;
}

}  // namespace

Plan make_plan(const ModelSource& model, const Recipe& recipe, const TrainingData* data) {
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
    plan.data = describe(*data, length.steps);
  }
  if (recipe.finetune == Finetune::kLora) plan.targets = find_targets(config, recipe.lora, "lora");
  plan.needs = run_needs(config, model.stored, recipe, pass_tokens);
  for (const NamedParameter& p : plan.needs.parameters) plan.trained_parameters += p.value.elements();
  plan.run = schedule_run(plan.needs, recipe);
  plan.kept = plan_run(plan.needs, recipe, 0);
  plan.recomputed = plan_run(plan.needs, recipe, config.layers);
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
