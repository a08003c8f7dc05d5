// The element types that a safetensors header may name.
#pragma once

#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace attune {

struct SafetensorsType {
  std::string_view name;
  int bits;
  std::optional<DType> dtype;  // ours, when we have it
};

const SafetensorsType* find_safetensors_type(std::string_view name);  // nullptr when unknown
const SafetensorsType& safetensors_type(DType dtype);

// Position in the order in which the reference writer stores types.
int safetensors_rank(DType dtype);

}  // namespace attune
