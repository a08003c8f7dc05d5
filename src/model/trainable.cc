// Models whose weights are trained: f32 values with gradients, from a folder or freshly drawn.
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint.h"
#include "model/weights_plan.h"

namespace attune {
namespace {

// The matrix over f32 values that are ours, and back.
WeightMatrix matrix_of(const TensorView& values) {
  return {.format = WeightFormat::kF32, .rows = values.rows(), .columns = values.columns(), .data = values.data};
}
TensorView values_of(const WeightMatrix& weight) {
  return {const_cast<void*>(weight.data), DType::kF32, {weight.rows, weight.columns}};
}

void bind(Model& model, const ModelTensor& tensor, const TensorView& value, const TensorView& gradient) {
  switch (tensor.role) {
    case TensorRole::kEmbedding:
      model.embedding = value;
      model.dembedding = gradient;
      return;
    case TensorRole::kHead:
    case TensorRole::kLinear:
      linear_of(model, tensor).weight = matrix_of(value);
      linear_of(model, tensor).dweight = gradient;
      return;
    case TensorRole::kBias:
      linear_of(model, tensor).bias = value;
      linear_of(model, tensor).dbias = gradient;
      return;
    default:
      norm_of(model, tensor).weight = value;
      norm_of(model, tensor).dweight = gradient;
  }
}

// A model of zeros; fill(tensor, value) sets each tensor.
template <typename Fill>
Model make_model(const ModelConfig& config, const std::vector<ModelTensor>& tensors, const Fill& fill) {
  MemoryPlan plan;
  std::vector<TrainableRows> rows;
  for (const ModelTensor& tensor : tensors) rows.push_back(plan_trainable_weight(plan, tensor));
  plan.place();
  auto arena = std::make_shared<Arena>(plan);
  Model model;
  model.config = config;
  model.blocks.resize(static_cast<std::size_t>(config.layers));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView value = arena->view(rows[i].value);
    bind(model, tensors[i], value, arena->view(rows[i].gradient));
    fill(tensors[i], value);
    model.weight_bytes += value.bytes();
  }
  if (config.tie_word_embeddings) {  // one tensor, one gradient
    model.head.weight = matrix_of(model.embedding);
    model.head.dweight = model.dembedding;
  }
  model.storage = std::move(arena);
  return model;
}

}  // namespace

Model load_trainable_model(const fs::path& model_folder) {
  const Checkpoint checkpoint = open_checkpoint(model_folder);
  if (checkpoint.quantized) {
    throw Unsupported("[{}] is stored as nf4; training all weights needs the unquantized model", model_folder.string());
  }
  std::size_t next = 0;
  return make_model(checkpoint.config, model_tensors(checkpoint.config), [&](const ModelTensor&, TensorView value) {
    const StoredTensor& stored = *checkpoint.tensors[next++].stored;
    read_as_f32(value, stored);
    checkpoint.folder.release(stored);
  });
}

Model make_trainable_model(const ModelConfig& config, std::uint64_t seed) {
  const double deviation = json_get_or<double>(config.source, "initializer_range", 0.02, "config.json");
  std::uint64_t stream = 0;
  return make_model(config, model_tensors(config), [&](const ModelTensor& tensor, TensorView value) {
    Rng rng{.seed = seed, .stream = stream++};
    float* const values = value.as<float>();
    const std::int64_t count = value.elements();
    switch (tensor.role) {
      case TensorRole::kEmbedding:
      case TensorRole::kHead:
      case TensorRole::kLinear:
        for (std::int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(rng.normal() * deviation);
        return;
      case TensorRole::kBias:
        return;  // zero, as the arena is
      default:
        std::fill_n(values, count, 1.0f);
    }
  });
}

std::vector<NamedParameter> trainable_parameters(const Model& model) {
  // The accessors are shared with loading, which writes; nothing is written here.
  auto& writable = const_cast<Model&>(model);
  std::vector<NamedParameter> parameters;
  for (const ModelTensor& tensor : model_tensors(model.config)) {
    NamedParameter parameter;
    parameter.name = tensor.name;
    switch (tensor.role) {
      case TensorRole::kEmbedding:
        parameter.value = model.embedding;
        parameter.gradient = model.dembedding;
        break;
      case TensorRole::kHead:
      case TensorRole::kLinear: {
        const Linear& linear = linear_of(writable, tensor);
        if (linear.weight.format != WeightFormat::kF32) {
          throw InternalError("[model] {} is not trainable: it is stored as {}", tensor.name,
                              name_of(linear.weight.format));
        }
        parameter.value = values_of(linear.weight);
        parameter.gradient = linear.dweight;
        break;
      }
      case TensorRole::kBias:
        parameter.value = linear_of(writable, tensor).bias;
        parameter.gradient = linear_of(writable, tensor).dbias;
        break;
      default:
        parameter.value = norm_of(writable, tensor).weight;
        parameter.gradient = norm_of(writable, tensor).dweight;
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

}  // namespace attune
