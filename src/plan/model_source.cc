#include "plan/model_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "format/safetensors.h"
#include "model/shapes.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 24;

DType named_type(const ModelConfig& config, const std::string& where) {
  for (const char* const key : {"dtype", "torch_dtype"}) {  // transformers 5, and before
    const auto name = json_get<std::string>(config.source, key, where);
    if (name == "float32") return DType::kF32;
    if (name == "float16") return DType::kF16;
  }
  return DType::kBF16;
}

DType stored_type(const fs::path& folder, const ModelConfig& config) {
  if (fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json")) {
    const SafetensorsFolder weights(folder);
    const StoredTensor* const embedding = weights.find("model.embed_tokens.weight");
    if (embedding != nullptr && embedding->dtype) return *embedding->dtype;
  }
  return named_type(config, (folder / "config.json").string());
}

}  // namespace

ModelSource read_model_source(const std::string& name) {
  ModelSource source;
  source.name = name;
  if (fs::is_directory(name)) {
    source.config = load_model_config(name);
    source.stored = stored_type(name, source.config);
    return source;
  }
  if (fs::exists(name)) {
    source.config = model_config_from_json(parse_json(read_file(name, kMaxConfigBytes), name), name);
    source.stored = named_type(source.config, name);
    return source;
  }
  const std::vector<std::string> shapes = shape_names();
  if (std::find(shapes.begin(), shapes.end(), name) == shapes.end()) {
    throw UserError("[{}] expected a model folder, a config.json or one of the shapes {}, got nothing there{}", name,
                    fmt::join(shapes, ", "), did_you_mean(name, shapes));
  }
  source.config = shape_config(name);
  return source;
}

}  // namespace attune
