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

void copy(TensorView to, TensorView from) {
  if (to.data != from.data) std::memcpy(to.data, from.data, from.bytes());
}

// What a forward pass of a block works on.
struct BlockPass {
  const Model& model;
  std::int64_t index;
  const PassNoise& noise;
  const BlockBuffers<TensorView>& buffers;
  const Activations& activations;
  bool base_only = false;

  const Block& block() const { return model.blocks[static_cast<std::size_t>(index)]; }
  float eps() const { return static_cast<float>(model.config.rms_norm_eps); }
  TensorView hidden(Slot slot, std::int64_t begin, std::int64_t count) const {
    return hidden_of(buffers.hidden[static_cast<std::size_t>(slot)], block()[slot].lora, begin, count);
  }

  // y = (or +=) W x + bias + LoRA of the tokens from `begin` on; the pair's hidden product is left for the backward pass.
  // Dropout draws its masks a few rows at a time, so that its scratch stays small.
  void project(TensorView y, TensorView x, Slot slot, std::int64_t begin = 0,
               GradientMode mode = GradientMode::kOverwrite) const {
    const Linear& layer = block()[slot];
    const bool adapted = layer.lora.rank > 0 && !base_only;
    if (adapted && !drops(layer.lora)) {
      return lora_linear_forward(y, hidden(slot, begin, x.rows()), x, layer.weight, layer.bias, activations.tile, mode,
                                 layer.lora.a, layer.lora.b, lora_params(layer.lora, noise, begin, x.columns()),
                                 activations.lora_input);
    }
    linear_forward(y, x, layer.weight, layer.bias, activations.tile, mode);
    if (!adapted) return;
    for_row_blocks(x.rows(), lora_rows(layer.lora, x.rows()), [&](std::int64_t first, std::int64_t count) {
      lora_forward(y.slice_rows(first, count), hidden(slot, begin, x.rows()).slice_rows(first, count),
                   x.slice_rows(first, count), layer.lora.a, layer.lora.b,
                   lora_params(layer.lora, noise, begin + first, x.columns()), activations.lora_input);
    });
  }
  // The hidden product alone.
  void project_hidden(TensorView x, Slot slot, std::int64_t begin) const {
    const LoraPair& pair = block()[slot].lora;
    if (pair.rank == 0) return;
    for_row_blocks(x.rows(), lora_rows(pair, x.rows()), [&](std::int64_t first, std::int64_t count) {
      lora_hidden(hidden(slot, begin, x.rows()).slice_rows(first, count), x.slice_rows(first, count), pair.a,
                  lora_params(pair, noise, begin + first, x.columns()), activations.lora_input);
    });
  }
  bool drops(const LoraPair& pair) const { return noise.training && pair.dropout > 0; }
  std::int64_t lora_rows(const LoraPair& pair, std::int64_t tokens) const {
    return drops(pair) ? kGradientRows : tokens;
  }
};

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

void look_up(TensorView residual, TensorView ids, const Model& model) {
  const std::int64_t rows = model.stream.streams_embedding() ? kStreamedLookups : ids.rows();
  for_row_blocks(ids.rows(), rows, [&](std::int64_t first, std::int64_t count) {
    embedding_forward(residual.slice_rows(first, count), ids.slice_rows(first, count), model.embedding);
    model.stream.give_back_embedding();
  });
}

LoraParams lora_params(const LoraPair& pair, const PassNoise& noise, std::int64_t first, std::int64_t columns) {
  return {pair.scale,
          noise.training ? pair.dropout : 0.0f,
          {noise.seed, noise.pass << 20 | pair.stream, static_cast<std::uint64_t>(first * columns)}};
}

AttentionParams attention_params(const ModelConfig& config, std::int64_t block) {
  return {1.0f / std::sqrt(static_cast<float>(config.head_dim)),
          block < config.full_attention_layers ? 0 : config.sliding_window};
}

namespace {

// q, k and v of the normed input, q and k after the per-head norm and rope.
void project_attention(const BlockPass& pass, const PassInput& input) {
  const ModelConfig& c = pass.model.config;
  const Block& block = pass.block();
  const BlockBuffers<TensorView>& b = pass.buffers;
  rms_norm_forward(b.attention_in, b.inv_rms_1, b.input, block.attention_norm.weight, pass.eps());
  pass.project(c.qk_norm ? b.q_raw : b.q, b.attention_in, Slot::kQ);
  pass.project(c.qk_norm ? b.k_raw : b.k, b.attention_in, Slot::kK);
  pass.project(b.v, b.attention_in, Slot::kV);
  if (c.qk_norm) {
    const auto normalize = [&](TensorView out, TensorView inv, TensorView raw, const Norm& norm) {
      rms_norm_forward(head_rows(out, c.head_dim), reshaped(inv, {inv.elements()}), head_rows(raw, c.head_dim),
                       norm.weight, pass.eps());
    };
    normalize(b.q, b.q_inv, b.q_raw, block.q_norm);
    normalize(b.k, b.k_inv, b.k_raw, block.k_norm);
  }
  rope_forward(by_head(b.q, c.heads, c.head_dim), input.positions, pass.activations.cosines, pass.activations.sines);
  rope_forward(by_head(b.k, c.kv_heads, c.head_dim), input.positions, pass.activations.cosines, pass.activations.sines);
}

void attend(const BlockPass& pass, const PassInput& input, KvCache* cache) {
  const ModelConfig& c = pass.model.config;
  const BlockBuffers<TensorView>& b = pass.buffers;
  if (cache != nullptr && cache->length > 0) {
    cached_attention(pass.model, pass.index, b, *cache);
    return;
  }
  attention_forward(by_head(b.attention_out, c.heads, c.head_dim), reshaped(b.log_sum_exp, {c.heads, b.q.rows()}),
                    by_head(b.q, c.heads, c.head_dim), by_head(b.k, c.kv_heads, c.head_dim),
                    by_head(b.v, c.kv_heads, c.head_dim), input.sequence_starts, attention_params(c, pass.index));
  if (cache == nullptr) return;
  copy(cache->keys[static_cast<std::size_t>(pass.index)].slice_rows(0, b.k.rows()), b.k);
  copy(cache->values[static_cast<std::size_t>(pass.index)].slice_rows(0, b.v.rows()), b.v);
}

// The residual stream after attention.
void add_attention(const BlockPass& pass, TensorView middle) {
  copy(middle, pass.buffers.input);
  pass.project(middle, pass.buffers.attention_out, Slot::kO, 0, GradientMode::kAccumulate);
}

// The MLP of the tokens [begin, begin + count) up to its inner product, without the steps whose results are kept.
void mlp_inner(const BlockPass& pass, TensorView middle, Keep keep, std::int64_t begin, std::int64_t count) {
  const BlockBuffers<TensorView>& b = pass.buffers;
  const auto part = [&](TensorView buffer) { return chunk_of(buffer, begin, count); };
  if (keep == Keep::kAll) return;
  rms_norm_forward(part(b.mlp_in), part(b.inv_rms_2), middle.slice_rows(begin, count), pass.block().mlp_norm.weight,
                   pass.eps());
  if (keep > Keep::kProducts) {
    pass.project(part(b.gate), part(b.mlp_in), Slot::kGate, begin);
    pass.project(part(b.up), part(b.mlp_in), Slot::kUp, begin);
  }
  swiglu_forward(part(b.inner), part(b.gate), part(b.up));
}

// Fills every buffer of the block from buffers.input, and `output` with the residual stream after it.
void block_forward(const BlockPass& pass, const PassInput& input, TensorView output, KvCache* cache) {
  const BlockBuffers<TensorView>& b = pass.buffers;
  const TensorView middle = b.middle.empty() ? output : b.middle;
  project_attention(pass, input);
  attend(pass, input, cache);
  add_attention(pass, middle);
  for_row_blocks(output.rows(), pass.activations.mlp_rows, [&](std::int64_t begin, std::int64_t count) {
    mlp_inner(pass, middle, Keep::kInput, begin, count);
    copy(output.slice_rows(begin, count), middle.slice_rows(begin, count));
    pass.project(output.slice_rows(begin, count), chunk_of(b.inner, begin, count), Slot::kDown, begin,
                 GradientMode::kAccumulate);
  });
}

}  // namespace

void recompute_attention(const Model& model, std::int64_t index, const PassInput& input, const PassNoise& noise,
                         Keep keep, const BlockBuffers<TensorView>& buffers, const Activations& activations) {
  const BlockPass pass{model, index, noise, buffers, activations};
  if (keep > Keep::kAttention) project_attention(pass, input);
  if (keep > Keep::kContext) attend(pass, input, nullptr);
  if (keep > Keep::kAttention) add_attention(pass, buffers.middle);
}

void recompute_mlp(const Model& model, std::int64_t index, const PassNoise& noise, Keep keep, std::int64_t begin,
                   std::int64_t count, const BlockBuffers<TensorView>& buffers, const Activations& activations) {
  const BlockPass pass{model, index, noise, buffers, activations};
  mlp_inner(pass, buffers.middle, keep, begin, count);
  if (keep > Keep::kProducts) pass.project_hidden(chunk_of(buffers.inner, begin, count), Slot::kDown, begin);
}

void forward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations,
             KvCache* cache) {
  const std::int64_t tokens = input.ids.rows();
  if (cache != nullptr && cache->length + tokens > cache->capacity) {
    throw InternalError("[forward] {} tokens do not fit into a cache of {} with {} used", tokens, cache->capacity,
                        cache->length);
  }
  const TensorView residual = first_tokens(activations.forward.front().input, tokens);
  look_up(residual, input.ids, model);
  if (noise.training && noise.neftune_alpha > 0) add_neftune_noise(residual, input, noise);
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const bool last = i + 1 == model.blocks.size();
    const TensorView output = first_tokens(last ? activations.output : activations.forward[i + 1].input, tokens);
    const BlockBuffers<TensorView> buffers = first_tokens(activations.forward[i], tokens);
    const auto index = static_cast<std::int64_t>(i);
    model.stream.fetch_block(index + 1);
    block_forward({model, index, noise, buffers, activations, input.base_only}, input, output, cache);
    model.stream.give_back_block(index);
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
                           head_scratch(activations));
}

void project_logits(TensorView logits, const Model& model, std::int64_t first, const Activations& activations) {
  linear_forward(logits, activations.normed.slice_rows(first, logits.rows()), model.head.weight, {}, activations.tile);
}

}  // namespace attune
