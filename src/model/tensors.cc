#include "model/tensors.h"

#include "base/error.h"

namespace attune {

std::string_view module_name(Slot slot) {
  static constexpr std::array<std::string_view, kSlots> kNames = {
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
      "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  return kNames[static_cast<std::size_t>(slot)];
}

Shape linear_shape(const ModelConfig& config, Slot slot) {
  switch (slot) {
    case Slot::kQ:
      return {config.q_size(), config.hidden_size};
    case Slot::kK:
    case Slot::kV:
      return {config.kv_size(), config.hidden_size};
    case Slot::kO:
      return {config.hidden_size, config.q_size()};
    case Slot::kGate:
    case Slot::kUp:
      return {config.intermediate_size, config.hidden_size};
    case Slot::kDown:
      return {config.hidden_size, config.intermediate_size};
  }
  throw InternalError("[model] no such slot");
}

bool has_bias(const ModelConfig& config, Slot slot) {
  switch (slot) {
    case Slot::kQ:
    case Slot::kK:
    case Slot::kV:
      return config.qkv_bias;
    case Slot::kO:
      return config.output_bias;
    default:
      return config.mlp_bias;
  }
}

std::vector<ModelTensor> model_tensors(const ModelConfig& config) {
  std::vector<ModelTensor> tensors;
  const auto add = [&](std::string name, Shape shape, TensorRole role, std::int64_t layer = -1, Slot slot = Slot::kQ) {
    tensors.push_back({std::move(name), shape, role, layer, slot});
  };
  const std::int64_t hidden = config.hidden_size;
  add("model.embed_tokens.weight", {config.vocab_size, hidden}, TensorRole::kEmbedding);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    for (int i = 0; i < kSlots; ++i) {
      const auto slot = static_cast<Slot>(i);
      const Shape shape = linear_shape(config, slot);
      const std::string module = prefix + std::string(module_name(slot));
      add(module + ".weight", shape, TensorRole::kLinear, layer, slot);
      if (has_bias(config, slot)) add(module + ".bias", {shape[0]}, TensorRole::kBias, layer, slot);
    }
    if (config.qk_norm) {
      add(prefix + "self_attn.q_norm.weight", {config.head_dim}, TensorRole::kQNorm, layer);
      add(prefix + "self_attn.k_norm.weight", {config.head_dim}, TensorRole::kKNorm, layer);
    }
    add(prefix + "input_layernorm.weight", {hidden}, TensorRole::kAttentionNorm, layer);
    add(prefix + "post_attention_layernorm.weight", {hidden}, TensorRole::kMlpNorm, layer);
  }
  add("model.norm.weight", {hidden}, TensorRole::kFinalNorm);
  if (!config.tie_word_embeddings) add("lm_head.weight", {config.vocab_size, hidden}, TensorRole::kHead);
  return tensors;
}

Norm& norm_of(Model& model, const ModelTensor& tensor) {
  if (tensor.role == TensorRole::kFinalNorm) return model.final_norm;
  Block& block = model.blocks[static_cast<std::size_t>(tensor.layer)];
  switch (tensor.role) {
    case TensorRole::kQNorm:
      return block.q_norm;
    case TensorRole::kKNorm:
      return block.k_norm;
    case TensorRole::kAttentionNorm:
      return block.attention_norm;
    case TensorRole::kMlpNorm:
      return block.mlp_norm;
    default:
      throw InternalError("[model] {} is not a norm", tensor.name);
  }
}

Linear& linear_of(Model& model, const ModelTensor& tensor) {
  if (tensor.role == TensorRole::kHead) return model.head;
  return model.blocks[static_cast<std::size_t>(tensor.layer)][tensor.slot];
}

std::int64_t parameter_count(const ModelConfig& config) {
  std::int64_t count = 0;
  for (const ModelTensor& tensor : model_tensors(config)) count += tensor.shape.elements();
  return count;
}

std::int64_t linear_parameter_count(const ModelConfig& config) {
  std::int64_t count = 0;
  for (int slot = 0; slot < kSlots; ++slot) count += linear_shape(config, static_cast<Slot>(slot)).elements();
  return count * config.layers;
}

}  // namespace attune
