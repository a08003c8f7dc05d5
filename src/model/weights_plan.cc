#include "model/weights_plan.h"

#include "quant/nf4.h"

namespace attune {

WeightRows plan_weight(MemoryPlan& plan, const ModelTensor& tensor, Quantization quantization, DType stored) {
  constexpr BufferKind kKind = BufferKind::kWeights;
  const std::int64_t elements = tensor.shape.elements();
  WeightRows rows;
  if (!is_converted(tensor, quantization)) {
    rows.values = plan.add(tensor.name, kKind, stored, tensor.shape);
  } else if (tensor.role != TensorRole::kLinear) {
    rows.values = plan.add(tensor.name, kKind, DType::kF32, tensor.shape);
  } else if (quantization == Quantization::kInt8) {
    rows.values = plan.add(tensor.name, kKind, DType::kI8, tensor.shape);
    rows.scales = plan.add(tensor.name + ".scales", kKind, DType::kF32, {tensor.shape[0]});
  } else {
    const std::int64_t blocks = nf4_blocks(elements);
    rows.values = plan.add(tensor.name, kKind, DType::kU8, {nf4_code_bytes(elements)});
    rows.scales = plan.add(tensor.name + ".absmax", kKind, DType::kU8, {blocks});
    rows.nested_absmax = plan.add(tensor.name + ".nested_absmax", kKind, DType::kF32, {nf4_nested_blocks(blocks)});
  }
  return rows;
}

TrainableRows plan_trainable_weight(MemoryPlan& plan, const ModelTensor& tensor) {
  return {plan.add(tensor.name, BufferKind::kWeights, DType::kF32, tensor.shape),
          plan.add(tensor.name + ".gradient", BufferKind::kGradients, DType::kF32, tensor.shape)};
}

void plan_weights(MemoryPlan& plan, const ModelConfig& config, Quantization quantization, DType stored) {
  for (const ModelTensor& tensor : model_tensors(config)) plan_weight(plan, tensor, quantization, stored);
}

void plan_trainable_weights(MemoryPlan& plan, const ModelConfig& config) {
  for (const ModelTensor& tensor : model_tensors(config)) plan_trainable_weight(plan, tensor);
}

}  // namespace attune
