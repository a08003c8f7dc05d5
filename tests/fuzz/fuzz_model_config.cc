// config.json from outside: any text is either refused with a UserError or gives a model whose sizes make sense.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const attune::ModelConfig config = attune::model_config_from_json(attune::parse_json(text, "fuzz"), "fuzz");
    if (config.heads % config.kv_heads != 0 || config.head_dim % 2 != 0) std::abort();
    if (config.full_attention_layers < 0 || config.full_attention_layers > config.layers) std::abort();
    if (attune::linear_parameter_count(config) <= 0) std::abort();
    if (attune::parameter_count(config) <= attune::linear_parameter_count(config)) std::abort();
  } catch (const attune::UserError&) {
  }
  return 0;
}
