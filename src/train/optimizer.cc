#include "train/optimizer.h"

#include <array>

#include "ops/adamw_compact.h"

namespace attune {

std::vector<NamedParameter> parameters_to_train(const Model& model, const Adapter* adapter) {
  if (adapter == nullptr) return trainable_parameters(model);
  std::vector<NamedParameter> parameters;
  for (const AdapterParameter& p : adapter->parameters()) parameters.push_back({p.name, p.value, p.gradient});
  return parameters;
}

std::string_view name_of(OptimizerKind kind) {
  static constexpr std::array<std::string_view, 4> kNames = {"auto", "adamw", "adamw_bf16", "adamw_8bit"};
  return kNames[static_cast<std::size_t>(kind)];
}

OptimizerPlan plan_optimizer(MemoryPlan& plan, std::span<const NamedParameter> parameters, OptimizerKind kind) {
  const DType type = kind == OptimizerKind::kAdamW8Bit   ? DType::kU8
                     : kind == OptimizerKind::kAdamWBf16 ? DType::kBF16
                                                         : DType::kF32;
  OptimizerPlan optimizer;
  for (const NamedParameter& p : parameters) {
    for (const char* moment : {".exp_avg", ".exp_avg_sq"}) {
      optimizer.moments.push_back(plan.add(p.name + moment, BufferKind::kOptimizer, type, p.value.shape));
    }
    for (const char* scales : {".exp_avg.absmax", ".exp_avg_sq.absmax"}) {
      const Shape blocks{moment_blocks(p.value.elements())};
      optimizer.moments.push_back(
          type == DType::kU8 ? plan.add(p.name + scales, BufferKind::kOptimizer, DType::kF32, blocks) : BufferId{});
    }
  }
  return optimizer;
}

std::vector<TrainedParameter> bind_optimizer(const OptimizerPlan& plan, const Arena& arena,
                                             std::span<const NamedParameter> parameters) {
  std::vector<TrainedParameter> trained;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const NamedParameter& p = parameters[i];
    const auto moment = [&](std::size_t k) { return arena.view(plan.moments[4 * i + k]); };
    trained.push_back({p.name, p.value, p.gradient, moment(0), moment(1), moment(2), moment(3)});
  }
  return trained;
}

void update_parameter(const TrainedParameter& p, std::size_t index, const AdamWParams& params, std::uint64_t seed) {
  switch (p.first_moment.dtype) {
    case DType::kU8:
      return adamw_8bit_step(p.value, p.gradient, p.first_moment, p.second_moment, p.first_scales, p.second_scales,
                             params);
    case DType::kBF16:
      return adamw_bf16_step(p.value, p.gradient, p.first_moment, p.second_moment, params,
                             {seed, static_cast<std::uint64_t>(params.step) << 32 | index});
    default:
      return adamw_step(p.value, p.gradient, p.first_moment, p.second_moment, params);
  }
}

std::vector<NamedState> state_of(const TrainedParameter& p) {
  std::vector<NamedState> state = {{p.name + ".exp_avg", p.first_moment}, {p.name + ".exp_avg_sq", p.second_moment}};
  if (p.first_scales.empty()) return state;
  state.push_back({p.name + ".exp_avg.absmax", p.first_scales});
  state.push_back({p.name + ".exp_avg_sq.absmax", p.second_scales});
  return state;
}

}  // namespace attune
