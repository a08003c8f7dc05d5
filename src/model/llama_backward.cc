#include "model/block.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace attune {
namespace {

// Gradients of y = W x + bias + LoRA: to x (overwritten or accumulated), to the pair, and to the base when it trains.
void linear_gradients(TensorView dx, GradientMode mode, TensorView dy, TensorView x, TensorView hidden,
                      const Linear& layer, const PassNoise& noise, const Activations& activations) {
  linear_backward_weight(layer.dweight, layer.dbias, dy, x);
  if (layer.lora.rank == 0) return linear_backward_input(dx, mode, dy, layer.weight, activations.tile);
  lora_linear_backward(dx, mode, layer.lora.da, layer.lora.db, dy, x, hidden, layer.weight, activations.tile,
                       layer.lora.a, layer.lora.b, lora_params(layer.lora, noise), lora_scratch(activations));
}

// activations.dresidual holds the gradient of the block's output and receives that of its input.
void block_backward(const Model& model, std::int64_t index, const PassInput& input, const PassNoise& noise,
                    const BlockBuffers<TensorView>& b, const Activations& activations) {
  const ModelConfig& c = model.config;
  const Block& block = model.blocks[static_cast<std::size_t>(index)];
  const std::int64_t tokens = input.ids.rows();
  const auto part = [&](TensorView buffer) { return first_tokens(buffer, tokens); };
  const TensorView dresidual = part(activations.dresidual), dnormed = part(activations.dnormed);
  const TensorView dinner = part(activations.dinner), dattention = part(activations.dattention);
  const TensorView dq = part(activations.dq), dk = part(activations.dk), dv = part(activations.dv);
  const auto gradients = [&](TensorView dx, GradientMode mode, TensorView dy, TensorView x, Slot slot) {
    linear_gradients(dx, mode, dy, x, hidden_of(b, slot, block[slot].lora), block[slot], noise, activations);
  };

  // gate and up are read for the last time by swiglu_backward, so their gradients take their place.
  gradients(dinner, GradientMode::kOverwrite, dresidual, b.inner, Slot::kDown);
  swiglu_backward(b.gate, dinner, dinner, b.gate, b.up);
  gradients(dnormed, GradientMode::kOverwrite, b.gate, b.mlp_in, Slot::kGate);
  gradients(dnormed, GradientMode::kAccumulate, dinner, b.mlp_in, Slot::kUp);
  rms_norm_backward(dresidual, GradientMode::kAccumulate, block.mlp_norm.dweight, dnormed, b.middle,
                    block.mlp_norm.weight, b.inv_rms_2);

  gradients(dattention, GradientMode::kOverwrite, dresidual, b.attention_out, Slot::kO);
  attention_backward(by_head(dq, c.heads, c.head_dim), by_head(dk, c.kv_heads, c.head_dim),
                     by_head(dv, c.kv_heads, c.head_dim), by_head(dattention, c.heads, c.head_dim),
                     by_head(b.q, c.heads, c.head_dim), by_head(b.k, c.kv_heads, c.head_dim),
                     by_head(b.v, c.kv_heads, c.head_dim), by_head(b.attention_out, c.heads, c.head_dim),
                     reshaped(b.log_sum_exp, {c.heads, tokens}),
                     reshaped(part(activations.delta), {c.heads, tokens}), input.sequence_starts, attention_params(c, index));
  rope_backward(by_head(dq, c.heads, c.head_dim), input.positions, activations.cosines, activations.sines);
  rope_backward(by_head(dk, c.kv_heads, c.head_dim), input.positions, activations.cosines, activations.sines);
  if (c.qk_norm) {
    const auto norm_gradients = [&](TensorView d, const Norm& norm, TensorView raw, TensorView inv) {
      const TensorView rows = head_rows(d, c.head_dim);
      rms_norm_backward(rows, GradientMode::kOverwrite, norm.dweight, rows, head_rows(raw, c.head_dim), norm.weight,
                        reshaped(inv, {inv.elements()}));
    };
    norm_gradients(dq, block.q_norm, b.q_raw, b.q_inv);
    norm_gradients(dk, block.k_norm, b.k_raw, b.k_inv);
  }
  gradients(dnormed, GradientMode::kOverwrite, dq, b.attention_in, Slot::kQ);
  gradients(dnormed, GradientMode::kAccumulate, dk, b.attention_in, Slot::kK);
  gradients(dnormed, GradientMode::kAccumulate, dv, b.attention_in, Slot::kV);
  rms_norm_backward(dresidual, GradientMode::kAccumulate, block.attention_norm.dweight, dnormed, b.input,
                    block.attention_norm.weight, b.inv_rms_1);
}

// Blocks that share their inner buffers were overwritten by later ones since their forward pass.
bool is_recomputed(const Activations& activations, std::size_t index) {
  const auto& blocks = activations.blocks;
  const std::size_t neighbour = index > 0 ? index - 1 : index + 1;
  return neighbour < blocks.size() && blocks[neighbour].inner.data == blocks[index].inner.data;
}

}  // namespace

void backward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations) {
  const std::int64_t tokens = input.ids.rows();
  const TensorView dresidual = first_tokens(activations.dresidual, tokens);
  rms_norm_backward(dresidual, GradientMode::kOverwrite, model.final_norm.dweight,
                    first_tokens(activations.dnormed, tokens), first_tokens(activations.output, tokens),
                    model.final_norm.weight, first_tokens(activations.inv_rms, tokens));
  for (std::size_t i = model.blocks.size(); i-- > 0;) {
    const BlockBuffers<TensorView> buffers = first_tokens(activations.blocks[i], tokens);
    if (is_recomputed(activations, i)) {
      block_forward(model, static_cast<std::int64_t>(i), input, noise, buffers, {}, activations, nullptr);
    }
    block_backward(model, static_cast<std::int64_t>(i), input, noise, buffers, activations);
  }
  if (!model.dembedding.empty()) embedding_backward(model.dembedding, dresidual, input.ids);
}

HeadLoss loss_and_gradients(const Model& model, const PassInput& input, TensorView targets, const PassNoise& noise,
                            const Activations& activations) {
  const std::int64_t tokens = input.ids.rows();
  forward(model, input, noise, activations);
  const HeadLoss loss =
      head_loss_backward(first_tokens(activations.dnormed, tokens), model.head.dweight,
                         first_tokens(activations.normed, tokens), model.head.weight, targets,
                         head_scratch(activations, true));
  backward(model, input, noise, activations);
  return loss;
}

}  // namespace attune
