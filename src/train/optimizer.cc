#include "train/optimizer.h"

namespace attune {

std::vector<NamedParameter> parameters_to_train(const Model& model, const Adapter* adapter) {
  if (adapter == nullptr) return trainable_parameters(model);
  std::vector<NamedParameter> parameters;
  for (const AdapterParameter& p : adapter->parameters()) parameters.push_back({p.name, p.value, p.gradient});
  return parameters;
}

OptimizerPlan plan_optimizer(MemoryPlan& plan, std::span<const NamedParameter> parameters) {
  OptimizerPlan optimizer;
  for (const NamedParameter& p : parameters) {
    for (const char* moment : {".exp_avg", ".exp_avg_sq"}) {   // torch's names, which the checkpoint uses too
      optimizer.moments.push_back(plan.add(p.name + moment, BufferKind::kOptimizer, DType::kF32, p.value.shape));
    }
  }
  return optimizer;
}

std::vector<TrainedParameter> bind_optimizer(const OptimizerPlan& plan, const Arena& arena,
                                             std::span<const NamedParameter> parameters) {
  std::vector<TrainedParameter> trained;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const NamedParameter& p = parameters[i];
    trained.push_back({p.name, p.value, p.gradient, arena.view(plan.moments[2 * i]), arena.view(plan.moments[2 * i + 1])});
  }
  return trained;
}

}  // namespace attune
