// How one tensor of a model is held in memory: the rows that load.cc, trainable.cc and `attune plan` share.
#pragma once

#include "model/tensors.h"
#include "tensor/memory_plan.h"

namespace attune {

// Rows of one frozen tensor. Parts that a format does not have are invalid.
struct WeightRows {
  BufferId values;  // [rows, columns] in the stored type, i8 codes, or NF4 codes [bytes]; f32 for norms and biases
  BufferId scales;  // int8: f32 [rows]; NF4: u8 [blocks]
  BufferId nested_absmax;  // NF4: f32
};
WeightRows plan_weight(MemoryPlan& plan, const ModelTensor& tensor, Quantization quantization, DType stored);

// Rows of one trained tensor.
struct TrainableRows {
  BufferId value, gradient;  // f32
};
TrainableRows plan_trainable_weight(MemoryPlan& plan, const ModelTensor& tensor);

// Whether load makes the bytes (quantized or converted) rather than mapping them.
inline bool is_converted(const ModelTensor& tensor, Quantization quantization) {
  switch (tensor.role) {
    case TensorRole::kEmbedding:
    case TensorRole::kHead:
      return false;
    case TensorRole::kLinear:
      return quantization != Quantization::kNone;
    default:
      return true;
  }
}

}  // namespace attune
