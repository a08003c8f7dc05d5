// What the forward and the backward pass of a block share.
#pragma once

#include "model/pass.h"
#include "ops/attention.h"

namespace attune {

// The same memory as [a, b, ...]; the number of elements must not change.
inline TensorView reshaped(TensorView view, Shape shape) {
  assert(view.elements() == shape.elements());
  view.shape = shape;
  return view;
}

inline TensorView by_head(TensorView view, std::int64_t heads, std::int64_t head_dim) {
  return reshaped(view, {view.rows(), heads, head_dim});
}

// One row per (token, head): what the per-head norm of Qwen3 normalizes.
inline TensorView head_rows(TensorView view, std::int64_t head_dim) {
  return reshaped(view, {view.elements() / head_dim, head_dim});
}

// The buffer of a pair's hidden product. Blocks that share buffers may have pairs of different ranks: the buffer has
// room for the largest.
inline TensorView hidden_of(const BlockBuffers<TensorView>& buffers, Slot slot, const LoraPair& pair) {
  TensorView hidden = buffers.hidden[static_cast<std::size_t>(slot)];
  hidden.shape = {buffers.input.rows(), pair.rank};
  return hidden;
}

LoraParams lora_params(const LoraPair& pair, const PassNoise& noise);
AttentionParams attention_params(const ModelConfig& config, std::int64_t block);

// Fills every buffer of block `index` from buffers.input. The residual stream after the block goes to `output`, which
// is left alone when empty (recomputation: the backward pass does not read it).
void block_forward(const Model& model, std::int64_t index, const PassInput& input, const PassNoise& noise,
                   const BlockBuffers<TensorView>& buffers, TensorView output, const Activations& activations,
                   KvCache* cache);

}  // namespace attune
