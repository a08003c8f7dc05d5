// The checks at the door of every op: a wrong shape or type is our own fault, so it is an InternalError.
#pragma once

#include <initializer_list>

#include "base/error.h"
#include "tensor/tensor.h"

namespace attune {

// Throws InternalError "[where] expected <rule>" unless `holds`.
inline void require(bool holds, const char* where, const char* rule) {
  if (!holds) throw InternalError("[{}] expected {}", where, rule);
}

// Activations are f32 or bf16, and all of one call have the same type.
inline void require_activations(const char* where, std::initializer_list<TensorView> views) {
  const DType type = views.begin()->dtype;
  require(type == DType::kF32 || type == DType::kBF16, where, "activations in f32 or bf16");
  for (const TensorView& view : views) {
    require(view.dtype == type, where, "activations of one type");
  }
}

inline void require_f32(const char* where, std::initializer_list<TensorView> views) {
  for (const TensorView& view : views) require(view.dtype == DType::kF32, where, "f32 statistics and parameters");
}

inline void require_equal_size(const char* where, std::initializer_list<TensorView> views) {
  for (const TensorView& view : views) {
    require(view.elements() == views.begin()->elements(), where, "tensors of equal size");
  }
}

}  // namespace attune
