// adapter_config.json of a PEFT folder (INTEROP section 3).
#pragma once

#include "adapter/targets.h"
#include "base/json.h"

namespace attune {

// Throws BadFile for wrong types and Unsupported, naming the key, for every option that changes what the
// adapter computes and that attune lacks.
LoraConfig lora_config_from_json(const Json& source, const std::string& where);

// What PEFT would write: all keys, sorted; the entries of rank_pattern and alpha_pattern stay in their order,
// which decides. "all-linear" becomes the names it stands for.
Json lora_config_to_json(const LoraConfig& config);

}  // namespace attune
