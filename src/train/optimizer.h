// The parameters a run trains, AdamW's two moments for each in one of three formats, and their update.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapter/lora.h"
#include "model/weights.h"
#include "ops/adamw.h"
#include "tensor/memory_plan.h"

namespace attune {

// How the moments are held between two steps: 8, 4 or about 2 bytes a parameter (ops/adamw_compact.h). kAuto: what the
// memory schedule chooses.
enum class OptimizerKind : std::uint8_t { kAuto, kAdamW, kAdamWBf16, kAdamW8Bit };
std::string_view name_of(OptimizerKind kind);  // "adamw_8bit", as in a recipe

// Values and gradients belong to the adapter or the model, in f32; the moments to the run's arena: f32, bf16 or u8, the
// latter with the scales [moment_blocks] f32, which are empty otherwise.
struct TrainedParameter {
  std::string name;
  TensorView value, gradient, first_moment, second_moment, first_scales = {}, second_scales = {};
};

struct OptimizerPlan {
  std::vector<BufferId> moments;  // per parameter: two moments, and their scales, which may be invalid
};

// What is trained: the adapter's pairs, or every weight of a trainable model.
std::vector<NamedParameter> parameters_to_train(const Model& model, const Adapter* adapter);

OptimizerPlan plan_optimizer(MemoryPlan& plan, std::span<const NamedParameter> parameters,
                             OptimizerKind kind = OptimizerKind::kAdamW);
std::vector<TrainedParameter> bind_optimizer(const OptimizerPlan& plan, const Arena& arena,
                                             std::span<const NamedParameter> parameters);

// One AdamW step of parameter number `index`; `seed` and params.step name the random words of bf16 moments.
void update_parameter(const TrainedParameter& parameter, std::size_t index, const AdamWParams& params,
                      std::uint64_t seed);

// The tensors of a parameter's state as a checkpoint names them: exp_avg and exp_avg_sq, torch's names, and with codes
// their ".absmax".
struct NamedState {
  std::string name;
  TensorView value;
};
std::vector<NamedState> state_of(const TrainedParameter& parameter);

}  // namespace attune
