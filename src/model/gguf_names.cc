#include "model/gguf_names.h"

#include "base/error.h"

namespace attune {
namespace {

std::string_view linear_name(Slot slot) {
  static constexpr std::array<std::string_view, kSlots> kNames = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                                  "ffn_gate", "ffn_up", "ffn_down"};
  return kNames[static_cast<std::size_t>(slot)];
}

}  // namespace

std::string_view gguf_architecture(Family family) {
  switch (family) {
    case Family::kLlama:
    case Family::kMistral:
      return "llama";
    case Family::kQwen2:
      return "qwen2";
    case Family::kQwen3:
      return "qwen3";
  }
  throw InternalError("[model] no such family");
}

std::string gguf_name(const ModelTensor& tensor) {
  const auto block = [&](std::string_view name, std::string_view part = "weight") {
    return fmt::format("blk.{}.{}.{}", tensor.layer, name, part);
  };
  switch (tensor.role) {
    case TensorRole::kEmbedding:
      return "token_embd.weight";
    case TensorRole::kFinalNorm:
      return "output_norm.weight";
    case TensorRole::kHead:
      return "output.weight";
    case TensorRole::kLinear:
      return block(linear_name(tensor.slot));
    case TensorRole::kBias:
      return block(linear_name(tensor.slot), "bias");
    case TensorRole::kQNorm:
      return block("attn_q_norm");
    case TensorRole::kKNorm:
      return block("attn_k_norm");
    case TensorRole::kAttentionNorm:
      return block("attn_norm");
    case TensorRole::kMlpNorm:
      return block("ffn_norm");
  }
  throw InternalError("[model] {} has no role", tensor.name);
}

bool gguf_reorders(const ModelConfig& config, const ModelTensor& tensor) {
  return gguf_architecture(config.family) == "llama" &&
         (tensor.role == TensorRole::kLinear || tensor.role == TensorRole::kBias) &&
         (tensor.slot == Slot::kQ || tensor.slot == Slot::kK);
}

std::int64_t gguf_source_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t within = row % head_dim;
  return row - within + within % 2 * (head_dim / 2) + within / 2;
}

}  // namespace attune
