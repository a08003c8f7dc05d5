// What the forward and the backward pass of a block share.
#pragma once

#include <algorithm>

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

// Rows [begin, begin + count) of a buffer of the pass, in a buffer that may hold one chunk only: a whole chunk, since only
// its length tells the two kinds apart.
inline TensorView chunk_of(TensorView buffer, std::int64_t begin, std::int64_t count) {
  if (buffer.empty()) return buffer;
  return buffer.rows() >= begin + count ? buffer.slice_rows(begin, count) : buffer.slice_rows(0, count);
}

// The same of a pair's hidden product. Blocks that share buffers may have pairs of different ranks: the buffer has room
// for the largest.
inline TensorView hidden_of(TensorView hidden, const LoraPair& pair, std::int64_t begin, std::int64_t count) {
  hidden.shape = {hidden.empty() ? count : hidden.rows(), pair.rank};
  return chunk_of(hidden, begin, count);
}

// Of the tokens from `first` on: each has its own random mask.
LoraParams lora_params(const LoraPair& pair, const PassNoise& noise, std::int64_t first, std::int64_t columns);
AttentionParams attention_params(const ModelConfig& config, std::int64_t block);

// Calls body(begin, count) for consecutive ranges of at most `rows` that cover [0, tokens).
template <typename Body>
void for_row_blocks(std::int64_t tokens, std::int64_t rows, const Body& body) {
  for (std::int64_t begin = 0; begin < tokens; begin += rows) body(begin, std::min(rows, tokens - begin));
}

// The embedding's rows of `ids` to `residual`; from disk a few at a time, so that few of its pages are in memory at once.
void look_up(TensorView residual, TensorView ids, const Model& model);

// Computes again what block `index` does not keep of its attention side, up to buffers.middle.
void recompute_attention(const Model& model, std::int64_t index, const PassInput& input, const PassNoise& noise,
                         Keep keep, const BlockBuffers<TensorView>& buffers, const Activations& activations);

// Computes again what block `index` does not keep of its MLP for the tokens [begin, begin + count): everything that its
// backward pass reads, but not the block's output.
void recompute_mlp(const Model& model, std::int64_t index, const PassNoise& noise, Keep keep, std::int64_t begin,
                   std::int64_t count, const BlockBuffers<TensorView>& buffers, const Activations& activations);

}  // namespace attune
