#include "plan/model_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "format/gguf.h"
#include "model/shapes.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 24;

}  // namespace

ModelSource read_model_source(const std::string& name) {
  ModelSource source;
  source.name = name;
  if (fs::is_directory(name) || is_gguf_path(name)) {
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
