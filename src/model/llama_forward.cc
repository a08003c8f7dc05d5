#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/block.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace attune {
namespace {

void copy(TensorView to, TensorView from) { std::memcpy(to.data, from.data, from.bytes()); }

// y = (or +=) W x + bias + LoRA. `hidden` is kept for the backward pass.
void linear(TensorView y, TensorView hidden, TensorView x, const Linear& layer, const PassNoise& noise,
            const Activations& activations, GradientMode mode = GradientMode::kOverwrite) {
  if (layer.lora.rank == 0) return linear_forward(y, x, layer.weight, layer.bias, activations.tile, mode);
  lora_linear_forward(y, hidden, x, layer.weight, layer.bias, activations.tile, mode, layer.lora.a, layer.lora.b,
                      lora_params(layer.lora, noise), lora_scratch(activations));
}

// Appends the new keys and values and attends to everything the cache then holds.
void cached_attention(const Model& model, std::int64_t index, const BlockBuffers<TensorView>& b, KvCache& cache) {
  const ModelConfig& c = model.config;
  const auto i = static_cast<std::size_t>(index);
  const std::int64_t tokens = b.q.rows();
  copy(cache.keys[i].slice_rows(cache.length, tokens), b.k);
  copy(cache.values[i].slice_rows(cache.length, tokens), b.v);
  for (std::int64_t t = 0; t < tokens; ++t) {
    attention_decode(reshaped(b.attention_out.slice_rows(t, 1), {c.heads, c.head_dim}),
                     reshaped(b.q.slice_rows(t, 1), {c.heads, c.head_dim}), cache.keys[i], cache.values[i],
                     cache.length + t + 1, attention_params(c, index));
  }
}

void add_neftune_noise(TensorView x, const PassInput& input, const PassNoise& noise) {
  const std::span<const std::int32_t> starts = input.sequence_starts;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    const std::int64_t length = starts[s + 1] - starts[s];
    const double magnitude = noise.neftune_alpha / std::sqrt(static_cast<double>(length * x.columns()));
    // The complement of the seed keeps these draws apart from the dropout masks.
    add_uniform_noise(x.slice_rows(starts[s], length), static_cast<float>(magnitude),
                      {~noise.seed, noise.pass << 20 | s});
  }
}

}  // namespace

LoraParams lora_params(const LoraPair& pair, const PassNoise& noise) {
  return {pair.scale, noise.training ? pair.dropout : 0.0f, {noise.seed, noise.pass << 20 | pair.stream}};
}

AttentionParams attention_params(const ModelConfig& config, std::int64_t block) {
  return {1.0f / std::sqrt(static_cast<float>(config.head_dim)),
          block < config.full_attention_layers ? 0 : config.sliding_window};
}

void block_forward(const Model& model, std::int64_t index, const PassInput& input, const PassNoise& noise,
                   const BlockBuffers<TensorView>& b, TensorView output, const Activations& activations,
                   KvCache* cache) {
  const ModelConfig& c = model.config;
  const Block& block = model.blocks[static_cast<std::size_t>(index)];
  const auto eps = static_cast<float>(c.rms_norm_eps);
  const auto project = [&](TensorView y, TensorView x, Slot slot, GradientMode mode = GradientMode::kOverwrite) {
    linear(y, hidden_of(b, slot, block[slot].lora), x, block[slot], noise, activations, mode);
  };

  rms_norm_forward(b.attention_in, b.inv_rms_1, b.input, block.attention_norm.weight, eps);
  project(c.qk_norm ? b.q_raw : b.q, b.attention_in, Slot::kQ);
  project(c.qk_norm ? b.k_raw : b.k, b.attention_in, Slot::kK);
  project(b.v, b.attention_in, Slot::kV);
  if (c.qk_norm) {
    const auto normalize = [&](TensorView out, TensorView inv, TensorView raw, const Norm& norm) {
      rms_norm_forward(head_rows(out, c.head_dim), reshaped(inv, {inv.elements()}), head_rows(raw, c.head_dim),
                       norm.weight, eps);
    };
    normalize(b.q, b.q_inv, b.q_raw, block.q_norm);
    normalize(b.k, b.k_inv, b.k_raw, block.k_norm);
  }
  const TensorView q = by_head(b.q, c.heads, c.head_dim), k = by_head(b.k, c.kv_heads, c.head_dim);
  rope_forward(q, input.positions, activations.cosines, activations.sines);
  rope_forward(k, input.positions, activations.cosines, activations.sines);
  if (cache != nullptr && cache->length > 0) {
    cached_attention(model, index, b, *cache);
  } else {
    attention_forward(by_head(b.attention_out, c.heads, c.head_dim),
                      reshaped(b.log_sum_exp, {c.heads, b.q.rows()}), q, k, by_head(b.v, c.kv_heads, c.head_dim),
                      input.sequence_starts, attention_params(c, index));
    if (cache != nullptr) {
      copy(cache->keys[static_cast<std::size_t>(index)].slice_rows(0, b.k.rows()), b.k);
      copy(cache->values[static_cast<std::size_t>(index)].slice_rows(0, b.v.rows()), b.v);
    }
  }
  copy(b.middle, b.input);
  project(b.middle, b.attention_out, Slot::kO, GradientMode::kAccumulate);

  rms_norm_forward(b.mlp_in, b.inv_rms_2, b.middle, block.mlp_norm.weight, eps);
  project(b.gate, b.mlp_in, Slot::kGate);
  project(b.up, b.mlp_in, Slot::kUp);
  swiglu_forward(b.inner, b.gate, b.up);
  if (!output.empty()) {
    copy(output, b.middle);
    project(output, b.inner, Slot::kDown, GradientMode::kAccumulate);
  } else if (const LoraPair& pair = block[Slot::kDown].lora; pair.rank > 0) {
    lora_hidden(hidden_of(b, Slot::kDown, pair), b.inner, pair.a, lora_params(pair, noise), lora_scratch(activations));
  }
}

void forward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations,
             KvCache* cache) {
  const std::int64_t tokens = input.ids.rows();
  if (cache != nullptr && cache->length + tokens > cache->capacity) {
    throw InternalError("[forward] {} tokens do not fit into a cache of {} with {} used", tokens, cache->capacity,
                        cache->length);
  }
  const TensorView residual = first_tokens(activations.blocks.front().input, tokens);
  embedding_forward(residual, input.ids, model.embedding);
  if (noise.training && noise.neftune_alpha > 0) add_neftune_noise(residual, input, noise);
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const bool last = i + 1 == model.blocks.size();
    const TensorView output = first_tokens(last ? activations.output : activations.blocks[i + 1].input, tokens);
    block_forward(model, static_cast<std::int64_t>(i), input, noise, first_tokens(activations.blocks[i], tokens),
                  output, activations, cache);
  }
  rms_norm_forward(first_tokens(activations.normed, tokens), first_tokens(activations.inv_rms, tokens),
                   first_tokens(activations.output, tokens), model.final_norm.weight,
                   static_cast<float>(model.config.rms_norm_eps));
  if (cache != nullptr) cache->length += tokens;
}

HeadLoss loss_only(const Model& model, const PassInput& input, TensorView targets, TensorView token_losses,
                   const Activations& activations) {
  forward(model, input, {}, activations);
  return head_loss_forward(token_losses, first_tokens(activations.normed, input.ids.rows()), model.head.weight, targets,
                           head_scratch(activations, false));
}

void project_logits(TensorView logits, const Model& model, std::int64_t first, const Activations& activations) {
  linear_forward(logits, activations.normed.slice_rows(first, logits.rows()), model.head.weight, {}, activations.tile);
}

}  // namespace attune
