// The model of a plan: a folder, a .gguf file, a config.json alone, or the name of a known shape. Its weights are not
// needed.
#pragma once

#include <string>

#include "model/config.h"
#include "tensor/dtype.h"

namespace attune {

struct ModelSource {
  std::string name;  // as it was asked for
  ModelConfig config;
  DType stored = DType::kBF16;  // type of the weights: of the files when they are there, else as config.json says
};

// Throws UserError when `name` is none of them, and as load_model_config.
ModelSource read_model_source(const std::string& name);

}  // namespace attune
