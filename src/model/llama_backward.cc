#include <cstring>

#include "model/block.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace attune {
namespace {

// Gradients of y = W x + bias + LoRA for the tokens from `begin` on: to x (overwritten or accumulated), to the pair, and
// to the base when it trains. Sums over tokens are made in blocks of kGradientRows, however the caller cuts its chunks.
void linear_gradients(TensorView dx, GradientMode mode, TensorView dy, TensorView x, TensorView hidden,
                      const Linear& layer, const PassNoise& noise, const Activations& activations, std::int64_t begin) {
  const LoraPair& pair = layer.lora;
  TensorView dhidden = activations.lora_dhidden;
  if (pair.rank > 0) dhidden.shape = {x.rows(), pair.rank};
  for_row_blocks(x.rows(), kGradientRows, [&](std::int64_t first, std::int64_t count) {
    const TensorView dy_rows = dy.slice_rows(first, count), x_rows = x.slice_rows(first, count);
    linear_backward_weight(layer.dweight, layer.dbias, dy_rows, x_rows);
    if (pair.rank == 0) return;
    lora_backward_pair(dhidden.slice_rows(first, count), pair.da, pair.db, dy_rows, x_rows,
                       hidden_of(hidden, pair, begin, x.rows()).slice_rows(first, count), pair.b,
                       lora_params(pair, noise, begin + first, x.columns()), activations.lora_input);
  });
  if (pair.rank == 0) return linear_backward_input(dx, mode, dy, layer.weight, activations.tile);
  if (!noise.training || pair.dropout == 0) {
    return lora_linear_backward_input(dx, mode, dy, layer.weight, activations.tile, dhidden, pair.a,
                                      activations.lora_input);
  }
  linear_backward_input(dx, mode, dy, layer.weight, activations.tile);
  for_row_blocks(x.rows(), kGradientRows, [&](std::int64_t first, std::int64_t count) {
    lora_backward_input(dx.slice_rows(first, count), dhidden.slice_rows(first, count), pair.a,
                        lora_params(pair, noise, begin + first, x.columns()), activations.lora_input);
  });
}

void norm_gradients(TensorView dx, GradientMode mode, TensorView dweight, TensorView dout, TensorView x,
                    TensorView weight, TensorView inv_rms) {
  for_row_blocks(x.rows(), kGradientRows, [&](std::int64_t first, std::int64_t count) {
    rms_norm_backward(dx.slice_rows(first, count), mode, dweight, dout.slice_rows(first, count),
                      x.slice_rows(first, count), weight, inv_rms.slice_rows(first, count));
  });
}

// What the backward pass of a block works on.
struct BlockGradients {
  const Model& model;
  std::int64_t index;
  const PassInput& input;
  const PassNoise& noise;
  const BlockBuffers<TensorView>& b;
  const Activations& activations;

  const Block& block() const { return model.blocks[static_cast<std::size_t>(index)]; }
  Keep keep() const { return activations.keep[static_cast<std::size_t>(index)]; }
  TensorView part(TensorView buffer) const { return first_tokens(buffer, input.ids.rows()); }
  void gradients(TensorView dx, GradientMode mode, TensorView dy, TensorView x, Slot slot,
                 std::int64_t begin = 0) const {
    linear_gradients(dx, mode, dy, x, b.hidden[static_cast<std::size_t>(slot)], block()[slot], noise, activations,
                     begin);
  }
};

// dresidual holds the gradient of the block's output and receives that of its residual stream after attention.
void mlp_backward(const BlockGradients& g, TensorView dresidual) {
  const BlockBuffers<TensorView>& b = g.b;
  for_row_blocks(dresidual.rows(), g.activations.mlp_rows, [&](std::int64_t begin, std::int64_t count) {
    recompute_mlp(g.model, g.index, g.noise, g.keep(), begin, count, b, g.activations);
    const auto part = [&](TensorView buffer) { return chunk_of(buffer, begin, count); };
    const TensorView gate = part(b.gate), up = part(b.up), mlp_in = part(b.mlp_in),
                     dout = dresidual.slice_rows(begin, count);
    const TensorView dinner = part(g.activations.dinner), dmlp_in = part(g.activations.dmlp_in);
    // gate and up are read for the last time by swiglu_backward, so their gradients take their place.
    g.gradients(dinner, GradientMode::kOverwrite, dout, part(b.inner), Slot::kDown, begin);
    swiglu_backward(gate, dinner, dinner, gate, up);
    g.gradients(dmlp_in, GradientMode::kOverwrite, gate, mlp_in, Slot::kGate, begin);
    g.gradients(dmlp_in, GradientMode::kAccumulate, dinner, mlp_in, Slot::kUp, begin);
    norm_gradients(dout, GradientMode::kAccumulate, g.block().mlp_norm.dweight, dmlp_in,
                   b.middle.slice_rows(begin, count), g.block().mlp_norm.weight, part(b.inv_rms_2));
  });
}

// The same from there to the block's input.
void attention_side_backward(const BlockGradients& g, TensorView dresidual) {
  const ModelConfig& c = g.model.config;
  const BlockBuffers<TensorView>& b = g.b;
  const Block& block = g.block();
  const std::int64_t tokens = dresidual.rows();
  const TensorView dattention = g.part(g.activations.dattention), dattention_in = g.part(g.activations.dattention_in);
  const TensorView dq = g.part(g.activations.dq), dk = g.part(g.activations.dk), dv = g.part(g.activations.dv);
  g.gradients(dattention, GradientMode::kOverwrite, dresidual, b.attention_out, Slot::kO);
  attention_backward(
      by_head(dq, c.heads, c.head_dim), by_head(dk, c.kv_heads, c.head_dim), by_head(dv, c.kv_heads, c.head_dim),
      by_head(dattention, c.heads, c.head_dim), by_head(b.q, c.heads, c.head_dim), by_head(b.k, c.kv_heads, c.head_dim),
      by_head(b.v, c.kv_heads, c.head_dim), by_head(b.attention_out, c.heads, c.head_dim),
      reshaped(b.log_sum_exp, {c.heads, tokens}), reshaped(g.part(g.activations.delta), {c.heads, tokens}),
      g.input.sequence_starts, attention_params(c, g.index));
  rope_backward(by_head(dq, c.heads, c.head_dim), g.input.positions, g.activations.cosines, g.activations.sines);
  rope_backward(by_head(dk, c.kv_heads, c.head_dim), g.input.positions, g.activations.cosines, g.activations.sines);
  if (c.qk_norm) {
    const auto head_gradients = [&](TensorView d, const Norm& norm, TensorView raw, TensorView inv) {
      const TensorView rows = head_rows(d, c.head_dim);
      rms_norm_backward(rows, GradientMode::kOverwrite, norm.dweight, rows, head_rows(raw, c.head_dim), norm.weight,
                        reshaped(inv, {inv.elements()}));
    };
    head_gradients(dq, block.q_norm, b.q_raw, b.q_inv);
    head_gradients(dk, block.k_norm, b.k_raw, b.k_inv);
  }
  const TensorView attention_in = b.attention_in_again;
  if (g.keep() != Keep::kAll) {
    rms_norm_forward(attention_in, b.inv_rms_1, b.input, block.attention_norm.weight,
                     static_cast<float>(c.rms_norm_eps));
  }
  g.gradients(dattention_in, GradientMode::kOverwrite, dq, attention_in, Slot::kQ);
  g.gradients(dattention_in, GradientMode::kAccumulate, dk, attention_in, Slot::kK);
  g.gradients(dattention_in, GradientMode::kAccumulate, dv, attention_in, Slot::kV);
  norm_gradients(dresidual, GradientMode::kAccumulate, block.attention_norm.dweight, dattention_in, b.input,
                 block.attention_norm.weight, b.inv_rms_1);
}

}  // namespace

void backward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations) {
  const std::int64_t tokens = input.ids.rows();
  const TensorView dresidual = first_tokens(activations.dresidual, tokens);
  norm_gradients(dresidual, GradientMode::kOverwrite, model.final_norm.dweight,
                 first_tokens(activations.dnormed, tokens), first_tokens(activations.output, tokens),
                 model.final_norm.weight, first_tokens(activations.inv_rms, tokens));
  for (std::size_t i = model.blocks.size(); i-- > 0;) {
    const auto index = static_cast<std::int64_t>(i);
    const BlockBuffers<TensorView> buffers = first_tokens(activations.backward[i], tokens);
    const BlockGradients gradients{model, index, input, noise, buffers, activations};
    model.stream.fetch_block(index - 1);
    recompute_attention(model, index, input, noise, gradients.keep(), buffers, activations);
    mlp_backward(gradients, dresidual);
    attention_side_backward(gradients, dresidual);
    model.stream.give_back_block(index);
  }
  if (!model.dembedding.empty()) embedding_backward(model.dembedding, dresidual, input.ids);
}

HeadLoss loss_and_gradients(const Model& model, const PassInput& input, TensorView targets, const PassNoise& noise,
                            const Activations& activations, double near_base) {
  const std::int64_t tokens = input.ids.rows();
  NearBase base;
  if (near_base > 0) {
    PassInput alone = input;
    alone.base_only = true;
    forward(model, alone, {}, activations);
    base = {first_tokens(activations.base_normed, tokens), static_cast<float>(near_base)};
    std::memcpy(base.x.data, activations.normed.data, base.x.bytes());
  }
  forward(model, input, noise, activations);
  const HeadLoss loss = head_loss_backward(first_tokens(activations.dnormed, tokens), model.head.dweight,
                                           first_tokens(activations.normed, tokens), model.head.weight, targets,
                                           head_scratch(activations), base);
  backward(model, input, noise, activations);
  return loss;
}

}  // namespace attune
