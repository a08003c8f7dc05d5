// The configuration of a model that a GGUF file holds, as if it had a config.json.
#pragma once

#include "format/gguf.h"
#include "model/config.h"

namespace attune {

// Throws BadFile (a key missing or senseless), Unsupported (another architecture or option), naming the key. `source` of
// the result is the config.json that Hugging Face would have.
ModelConfig model_config_from_gguf(const GgufFile& file);

}  // namespace attune
