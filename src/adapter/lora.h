// LoRA adapters as PEFT folders: initial values, attaching to a model, reading and writing (INTEROP section
// 3).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapter/targets.h"
#include "base/file.h"
#include "model/weights.h"
#include "tensor/memory_plan.h"

namespace attune {

// The adapter's tensors, in the order of the model's modules: for every adapted linear A then B, under PEFT's
// names
// ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight").
struct AdapterParameter {
  std::string name;
  TensorView value, gradient;  // f32; gradient empty when not trained
};

// Adds a row per tensor of the adapter (and per gradient) to a plan: what an Adapter allocates. Throws as
// create().
void plan_adapter(MemoryPlan& plan, const ModelConfig& model, const LoraConfig& config, bool trainable);

// An adapter attached to a model. Owns the values (and gradients); detach() or destruction leaves the model
// bare.
class Adapter {
 public:
  // Fresh values: A as `init_lora_weights` says from `seed`, B = 0. Throws UserError when nothing matches.
  static Adapter create(Model& model, const LoraConfig& config, std::uint64_t seed, bool trainable);
  // Reads a PEFT folder. Throws BadFile/Unsupported/UserError naming the first tensor that does not fit the
  // model
  // ("adapter for another base").
  static Adapter load(Model& model, const fs::path& folder, bool trainable);

  // Writes adapter_config.json and adapter_model.safetensors into an existing folder, atomically each, as
  // PEFT does.
  void save(const fs::path& folder) const;

  void attach(Model& model) const;   // sets the LoraPair of every adapted linear
  static void detach(Model& model);  // adapter off: every LoraPair absent

  const LoraConfig& config() const { return config_; }
  const std::vector<AdapterTarget>& targets() const { return targets_; }
  const std::vector<AdapterParameter>& parameters() const { return parameters_; }
  std::int64_t parameter_count() const;

 private:
  Adapter(const ModelConfig& model, const LoraConfig& config, bool trainable, const std::string& where);
  LoraConfig config_;
  std::vector<AdapterTarget> targets_;
  std::vector<AdapterParameter> parameters_;  // A and B of targets_[i] at 2 i and 2 i + 1
  Arena arena_;
};

}  // namespace attune
