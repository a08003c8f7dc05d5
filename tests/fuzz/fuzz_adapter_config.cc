// adapter_config.json from outside: any text is either refused with a UserError or means the same after we wrote it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "adapter/peft_config.h"
#include "base/error.h"

namespace {

attune::ModelConfig small_model() {
  attune::ModelConfig config;
  config.vocab_size = 32;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.layers = 2;
  config.heads = config.kv_heads = 2;
  config.head_dim = 8;
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const attune::ModelConfig model = small_model();
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const attune::LoraConfig config = attune::lora_config_from_json(attune::parse_json(text, "fuzz"), "fuzz");
    const auto targets = attune::find_targets(model, config, "fuzz");
    const std::string written = attune::lora_config_to_json(config).dump();
    const attune::LoraConfig again = attune::lora_config_from_json(attune::parse_json(written, "written"), "written");
    const auto same = attune::find_targets(model, again, "written");
    if (same.size() != targets.size()) std::abort();
    for (std::size_t i = 0; i < same.size(); ++i) {
      if (same[i].path != targets[i].path || same[i].rank != targets[i].rank) std::abort();
      if (same[i].scale != targets[i].scale) std::abort();
    }
  } catch (const attune::UserError&) {
  }
  return 0;
}
