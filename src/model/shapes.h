// Known model shapes by name, with their real dimensions and vocabularies: what benchmarks and plans run on without a
// download.
#pragma once

#include <string>
#include <vector>

#include "model/weights.h"

namespace attune {

std::vector<std::string> shape_names();

// UserError, with the nearest name, for an unknown one.
ModelConfig shape_config(const std::string& name);

// A frozen model of this shape with random weights, the linears held as `quantization` (kNone: bf16), embedding and
// head in bf16. Made block by block: memory peaks at the result. For timing only: the values mean nothing. `streaming`
// leaves weights in files in streaming_folder().
Model make_random_model(const ModelConfig& config, Quantization quantization, std::uint64_t seed,
                        const Streaming& streaming = {});

}  // namespace attune
