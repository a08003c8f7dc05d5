// The parameters a run trains and AdamW's two moments for each.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "model/weights.h"
#include "tensor/memory_plan.h"

namespace attune {

// Values and gradients belong to the adapter or the model; the moments to the run's arena. All f32.
struct TrainedParameter {
  std::string name;
  TensorView value, gradient, first_moment, second_moment;
};

struct OptimizerPlan {
  std::vector<BufferId> moments;   // two per parameter
};

// What is trained: the adapter's pairs, or every weight of a trainable model.
std::vector<NamedParameter> parameters_to_train(const Model& model, const Adapter* adapter);

OptimizerPlan plan_optimizer(MemoryPlan& plan, std::span<const NamedParameter> parameters);
std::vector<TrainedParameter> bind_optimizer(const OptimizerPlan& plan, const Arena& arena,
                                             std::span<const NamedParameter> parameters);

}  // namespace attune
