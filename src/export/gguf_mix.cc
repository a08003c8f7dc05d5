#include "export/gguf_mix.h"

#include <array>

#include "base/error.h"
#include "quant/blocks.h"

namespace attune {
namespace {

// llama.cpp's name for "the first and last eighth of the layers, and every third between".
bool use_more_bits(std::int64_t layer, std::int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

WeightFormat wanted_format(const ModelTensor& tensor, const ModelConfig& config, GgufDType dtype) {
  const WeightFormat base = dtype == GgufDType::kQ8_0   ? WeightFormat::kQ8_0
                            : dtype == GgufDType::kQ4_0 ? WeightFormat::kQ4_0
                                                        : WeightFormat::kQ4K;
  const bool is_head =
      tensor.role == TensorRole::kHead || (tensor.role == TensorRole::kEmbedding && config.tie_word_embeddings);
  if (is_head) {
    const bool divides = tensor.shape[1] % block_layout(base)->elements == 0;
    if (!divides || base == WeightFormat::kQ8_0) return WeightFormat::kQ8_0;
    return WeightFormat::kQ6K;
  }
  if (dtype != GgufDType::kQ4KM || tensor.role != TensorRole::kLinear) return base;
  const bool more = use_more_bits(tensor.layer, config.layers);
  if (tensor.slot == Slot::kDown) return more ? WeightFormat::kQ6K : base;
  if (tensor.slot != Slot::kV) return base;
  if (more) return WeightFormat::kQ6K;
  // llama.cpp's "70B": eight query heads share a value head, so its matrix is small and worth more bits.
  const bool is_70b = config.layers == 80 && (config.heads != config.kv_heads || config.family == Family::kQwen2);
  return is_70b ? WeightFormat::kQ5K : base;
}

}  // namespace

std::string_view name_of(GgufDType dtype) {
  static constexpr std::array<std::string_view, 6> kNames = {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"};
  return kNames[static_cast<std::size_t>(dtype)];
}

std::uint32_t gguf_file_type(GgufDType dtype) {
  static constexpr std::array<std::uint32_t, 6> kTypes = {0, 1, 32, 7, 2, 15};
  return kTypes[static_cast<std::size_t>(dtype)];
}

WeightFormat gguf_format_of(const ModelTensor& tensor, const ModelConfig& config, GgufDType dtype) {
  if (tensor.shape.rank == 1 || dtype == GgufDType::kF32) return WeightFormat::kF32;
  if (dtype == GgufDType::kF16) return WeightFormat::kF16;
  if (dtype == GgufDType::kBF16) return WeightFormat::kBF16;
  const WeightFormat wanted = wanted_format(tensor, config, dtype);
  const auto divides = [&](WeightFormat format) { return tensor.shape[1] % block_layout(format)->elements == 0; };
  if (divides(wanted)) return wanted;
  const WeightFormat fallback = wanted == WeightFormat::kQ4K ? WeightFormat::kQ5_0 : WeightFormat::kQ8_0;
  return divides(fallback) ? fallback : WeightFormat::kF16;
}

const GgufType& gguf_type_of(WeightFormat format) {
  const std::string_view name = format == WeightFormat::kF32    ? "F32"
                                : format == WeightFormat::kF16  ? "F16"
                                : format == WeightFormat::kBF16 ? "BF16"
                                : format == WeightFormat::kQ8_0 ? "Q8_0"
                                : format == WeightFormat::kQ4_0 ? "Q4_0"
                                : format == WeightFormat::kQ5_0 ? "Q5_0"
                                : format == WeightFormat::kQ4K  ? "Q4_K"
                                : format == WeightFormat::kQ5K  ? "Q5_K"
                                                                : "Q6_K";
  return *find_gguf_type(name);
}

}  // namespace attune
