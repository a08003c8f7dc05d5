#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "model/weights.h"

namespace attune {
namespace {

// What transformers' generate() reads: the special tokens of the configuration.
Json generation_config(const Json& source) {
  Json generation = {{"_from_model_config", true}};
  for (const char* const key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (const auto found = source.find(key); found != source.end() && !found->is_null()) generation[key] = *found;
  }
  return generation;
}

}  // namespace

void save_model(const fs::path& folder, const Model& model, DType dtype) {
  std::vector<TensorSource> tensors;
  for (const NamedParameter& parameter : trainable_parameters(model)) {
    tensors.push_back(tensor_source(parameter.name, parameter.value, dtype));
  }
  write_safetensors(folder / "model.safetensors", std::move(tensors));
  Json config = model.config.source;
  const std::string name = dtype == DType::kBF16 ? "bfloat16" : dtype == DType::kF16 ? "float16" : "float32";
  config.erase("dtype");
  config["torch_dtype"] = name;  // the key that every version of transformers reads
  write_file_atomic(folder / "config.json", config.dump(2) + "\n");
  write_file_atomic(folder / "generation_config.json", generation_config(config).dump(2) + "\n");
}

}  // namespace attune
