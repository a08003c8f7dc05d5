// The tensors of a model under their Hugging Face names: one table for loading, planning, training and
// saving.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/weights.h"

namespace attune {

enum class TensorRole { kEmbedding, kLinear, kBias, kQNorm, kKNorm, kAttentionNorm, kMlpNorm, kFinalNorm, kHead };

struct ModelTensor {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  Shape shape;
  TensorRole role;
  std::int64_t layer = -1;  // of a block's tensor
  Slot slot = Slot::kQ;     // of kLinear and kBias
};

// In the order of transformers' state dict; a tied head has no entry of its own.
std::vector<ModelTensor> model_tensors(const ModelConfig& config);

Shape linear_shape(const ModelConfig& config, Slot slot);  // [outputs, inputs]
bool has_bias(const ModelConfig& config, Slot slot);

// The norm that a tensor of a norm role belongs to.
Norm& norm_of(Model& model, const ModelTensor& tensor);

// The linear that a kLinear, kBias or kHead tensor belongs to.
Linear& linear_of(Model& model, const ModelTensor& tensor);

}  // namespace attune
