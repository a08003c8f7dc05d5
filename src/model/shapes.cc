#include "model/shapes.h"

#include <fmt/ranges.h>

#include <cstring>

#include "base/error.h"
#include "base/nearest.h"
#include "base/rng.h"
#include "model/tensors.h"
#include "model/weights_plan.h"
#include "quant/nf4.h"

namespace attune {
namespace {

struct NamedShape {
  const char* name;
  Family family;
  std::int64_t hidden, layers, intermediate, heads, kv_heads, head_dim, vocab, positions;
  double rope_theta;
  bool tied;
};

// As the published config.json of each model says; llama-250m is a benchmark shape of our own.
constexpr NamedShape kShapes[] = {
    {"llama-250m", Family::kLlama, 1024, 16, 2816, 16, 4, 64, 32000, 2048, 10000, false},
    {"qwen2.5-0.5b", Family::kQwen2, 896, 24, 4864, 14, 2, 64, 151936, 32768, 1000000, true},
    {"llama-3.2-1b", Family::kLlama, 2048, 16, 8192, 32, 8, 64, 128256, 131072, 500000, true},
    {"mistral-7b", Family::kMistral, 4096, 32, 14336, 32, 8, 128, 32000, 32768, 10000, false},
};

// A typical standard deviation of trained weights; with random ones it keeps activations and gradients finite.
constexpr float kDeviation = 0.02f;

void fill_random_bytes(void* data, std::size_t bytes, std::uint64_t seed, std::uint64_t stream) {
  auto* const to = static_cast<std::byte*>(data);
#pragma omp parallel for schedule(static)
  for (std::size_t begin = 0; begin < bytes; begin += 16) {
    const auto words = philox(seed, stream, begin / 16);
    std::memcpy(to + begin, words.data(), std::min<std::size_t>(16, bytes - begin));
  }
}

// Uniform values of the right deviation, two per 32 random bits.
void fill_random_bf16(TensorView view, std::uint64_t seed, std::uint64_t stream) {
  fill_random_bytes(view.data, view.bytes(), seed, stream);
  auto* const values = view.as<bf16>();
  const std::int64_t count = view.elements();
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) {
    const float uniform = static_cast<float>(values[i].bits) / 65536.0f - 0.5f;
    values[i] = to_bf16(uniform * kDeviation * 3.4641f);  // a uniform's deviation is its width / sqrt(12)
  }
}

WeightMatrix random_linear(const ModelTensor& tensor, Quantization quantization, const WeightRows& rows,
                           const Arena& arena, std::uint64_t seed, std::uint64_t stream) {
  WeightMatrix weight{.rows = tensor.shape[0], .columns = tensor.shape[1], .data = arena.view(rows.values).data};
  const TensorView values = arena.view(rows.values);
  if (quantization == Quantization::kNone) {
    weight.format = WeightFormat::kBF16;
    fill_random_bf16(values, seed, stream);
    return weight;
  }
  fill_random_bytes(values.data, values.bytes(), seed, stream);
  if (quantization == Quantization::kInt8) {
    weight.format = WeightFormat::kInt8;
    float* const scales = arena.view(rows.scales).as<float>();
    std::fill(scales, scales + weight.rows, kDeviation / 74.0f);  // codes are uniform over -128..127
    weight.row_scales = scales;
    return weight;
  }
  weight.format = WeightFormat::kNF4;
  const TensorView codes = arena.view(rows.scales), nested = arena.view(rows.nested_absmax);
  std::memset(codes.data, 0, codes.bytes());  // every block's scale is the offset
  std::fill(nested.as<float>(), nested.as<float>() + nested.elements(), 0.0f);
  weight.absmax_codes = codes.as<std::uint8_t>();
  weight.nested_absmax = nested.as<float>();
  weight.nested_map = dynamic_map().data();
  weight.nested_offset = 2 * kDeviation;
  return weight;
}

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const NamedShape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

ModelConfig shape_config(const std::string& name) {
  for (const NamedShape& s : kShapes) {
    if (s.name != name) continue;
    ModelConfig c;
    c.family = s.family;
    c.vocab_size = s.vocab;
    c.hidden_size = s.hidden;
    c.intermediate_size = s.intermediate;
    c.layers = s.layers;
    c.heads = s.heads;
    c.kv_heads = s.kv_heads;
    c.head_dim = s.head_dim;
    c.max_position = s.positions;
    c.rms_norm_eps = 1e-5;
    c.rope_theta = s.rope_theta;
    c.tie_word_embeddings = s.tied;
    c.qkv_bias = s.family == Family::kQwen2;
    return c;
  }
  const auto names = shape_names();
  throw UserError("[--shape] there is no shape \"{}\"{}; known: {}", name, did_you_mean(name, names),
                  fmt::join(names, ", "));
}

Model make_random_model(const ModelConfig& config, Quantization quantization, std::uint64_t seed,
                        const Streaming& streaming) {
  const std::vector<ModelTensor> tensors = model_tensors(config);
  // One arena for what stays in memory, then one for the embedding on disk, then one for each block on disk.
  const auto arena_of = [&](const ModelTensor& tensor) -> std::size_t {
    if (tensor.role == TensorRole::kEmbedding && streaming.embedding && !config.tie_word_embeddings) return 1;
    if (tensor.role == TensorRole::kLinear && tensor.layer < streaming.blocks)
      return 2 + static_cast<std::size_t>(tensor.layer);
    return 0;
  };
  std::vector<MemoryPlan> plans(2 + static_cast<std::size_t>(streaming.blocks));
  std::vector<WeightRows> rows;
  for (const ModelTensor& tensor : tensors) {
    rows.push_back(plan_weight(plans[arena_of(tensor)], tensor, quantization, DType::kBF16));
  }
  const auto arenas = std::make_shared<std::vector<Arena>>();
  Model model;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    plans[i].place();
    arenas->push_back(i == 0 ? Arena(plans[i]) : Arena::in_file(plans[i], streaming_folder()));
    model.weight_bytes += plans[i].arena_bytes();
    if (i > 1) model.stream.add_to_block(i - 2, arenas->back().span());
  }
  model.stream.set_embedding((*arenas)[1].span());
  model.config = config;
  model.blocks.resize(static_cast<std::size_t>(config.layers));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ModelTensor& tensor = tensors[i];
    const Arena& arena = (*arenas)[arena_of(tensor)];
    const TensorView values = arena.view(rows[i].values);
    switch (tensor.role) {
      case TensorRole::kEmbedding:
        fill_random_bf16(values, seed, i);
        model.embedding = values;
        break;
      case TensorRole::kHead:
        linear_of(model, tensor).weight = random_linear(tensor, Quantization::kNone, rows[i], arena, seed, i);
        break;
      case TensorRole::kLinear:
        linear_of(model, tensor).weight = random_linear(tensor, quantization, rows[i], arena, seed, i);
        break;
      case TensorRole::kBias:
        linear_of(model, tensor).bias = values;
        break;
      default:
        std::fill(values.as<float>(), values.as<float>() + values.elements(), 1.0f);
        norm_of(model, tensor).weight = values;
    }
    if (arena_of(tensor) > 0) give_back(arena.span());
  }
  if (config.tie_word_embeddings) {
    model.head.weight = {.format = WeightFormat::kBF16,
                         .rows = config.vocab_size,
                         .columns = config.hidden_size,
                         .data = model.embedding.data};
  }
  model.storage = arenas;
  return model;
}

}  // namespace attune
