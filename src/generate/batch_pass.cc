#include "generate/batch_pass.h"

#include <fmt/format.h>

#include <cstring>

#include "generate/page_pool.h"
#include "model/block.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace attune {
namespace {

// Keys or values of the rows to their places in the pages.
void store_rows(TensorView pages, TensorView rows, std::span<const PagedQuery> queries) {
  const std::size_t bytes = rows.bytes() / static_cast<std::size_t>(rows.rows());
  for (const PagedQuery& query : queries) {
    const std::int64_t page = query.pages[static_cast<std::size_t>(query.position / kPageTokens)];
    const std::int64_t token = page * kPageTokens + query.position % kPageTokens;
    std::memcpy(static_cast<std::byte*>(pages.data) + static_cast<std::size_t>(token) * bytes,
                static_cast<const std::byte*>(rows.data) + static_cast<std::size_t>(query.row) * bytes, bytes);
  }
}

struct BlockPass {
  const Model& model;
  const BatchRows& rows;
  const Activations& activations;
  std::size_t index;
  BlockBuffers<TensorView> b;

  void linear(TensorView y, TensorView x, Slot slot, GradientMode mode = GradientMode::kOverwrite) const {
    const Linear& layer = model.blocks[index][slot];
    rows_linear(y, x, layer.weight, layer.bias, activations.tile, rows.single_rows, rows.blocks, mode);
    for (const BatchRows::Adapted& adapted : rows.adapted) {
      const LoraPair& pair = (*adapted.table)[index][static_cast<std::size_t>(slot)];
      if (pair.rank == 0) continue;
      const auto part = [&](TensorView view) { return view.slice_rows(adapted.rows.first, adapted.rows.count); };
      TensorView hidden = b.hidden[static_cast<std::size_t>(slot)];
      hidden.shape = {adapted.rows.count, pair.rank};
      rows_matmul_bt(hidden, part(x), pair.a);
      rows_matmul_bt(part(y), hidden, pair.b, pair.scale, GradientMode::kAccumulate);
    }
  }
};

void block_forward(const BlockPass& pass, const PagedCache& cache) {
  const ModelConfig& c = pass.model.config;
  const Block& block = pass.model.blocks[pass.index];
  const BlockBuffers<TensorView>& b = pass.b;
  const auto eps = static_cast<float>(c.rms_norm_eps);

  rms_norm_forward(b.attention_in, b.inv_rms_1, b.input, block.attention_norm.weight, eps);
  pass.linear(c.qk_norm ? b.q_raw : b.q, b.attention_in, Slot::kQ);
  pass.linear(c.qk_norm ? b.k_raw : b.k, b.attention_in, Slot::kK);
  pass.linear(b.v, b.attention_in, Slot::kV);
  if (c.qk_norm) {
    const auto normalize = [&](TensorView out, TensorView inv, TensorView raw, const Norm& norm) {
      rms_norm_forward(head_rows(out, c.head_dim), reshaped(inv, {inv.elements()}), head_rows(raw, c.head_dim),
                       norm.weight, eps);
    };
    normalize(b.q, b.q_inv, b.q_raw, block.q_norm);
    normalize(b.k, b.k_inv, b.k_raw, block.k_norm);
  }
  const TensorView q = by_head(b.q, c.heads, c.head_dim), k = by_head(b.k, c.kv_heads, c.head_dim);
  rope_forward(q, pass.rows.positions, pass.activations.cosines, pass.activations.sines);
  rope_forward(k, pass.rows.positions, pass.activations.cosines, pass.activations.sines);
  store_rows(cache.keys[pass.index], b.k, pass.rows.queries);
  store_rows(cache.values[pass.index], b.v, pass.rows.queries);
  attention_paged(by_head(b.attention_out, c.heads, c.head_dim), q, cache.keys[pass.index], cache.values[pass.index],
                  pass.rows.queries, attention_params(c, static_cast<std::int64_t>(pass.index)));
  // The residual stream is one buffer without a backward pass: b.input takes the place of b.middle.
  pass.linear(b.input, b.attention_out, Slot::kO, GradientMode::kAccumulate);

  rms_norm_forward(b.mlp_in, b.inv_rms_2, b.input, block.mlp_norm.weight, eps);
  pass.linear(b.gate, b.mlp_in, Slot::kGate);
  pass.linear(b.up, b.mlp_in, Slot::kUp);
  swiglu_forward(b.inner, b.gate, b.up);
  pass.linear(b.input, b.inner, Slot::kDown, GradientMode::kAccumulate);
}

}  // namespace

LoraTable lora_table_of(const Model& model) {
  LoraTable table(model.blocks.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) table[i][slot] = model.blocks[i].linears[slot].lora;
  }
  return table;
}

PagedCachePlan plan_paged_cache(MemoryPlan& plan, const ModelConfig& config, std::int64_t pages, DType act) {
  PagedCachePlan cache;
  const Shape shape{pages, kPageTokens, config.kv_heads, config.head_dim};
  for (std::int64_t i = 0; i < config.layers; ++i) {
    cache.keys.push_back(plan.add(fmt::format("cache.{}.keys", i), BufferKind::kCache, act, shape));
    cache.values.push_back(plan.add(fmt::format("cache.{}.values", i), BufferKind::kCache, act, shape));
  }
  return cache;
}

PagedCache bind_paged_cache(const PagedCachePlan& plan, const Arena& arena) {
  PagedCache cache;
  for (const BufferId id : plan.keys) cache.keys.push_back(arena.view(id));
  for (const BufferId id : plan.values) cache.values.push_back(arena.view(id));
  return cache;
}

void batch_forward(const Model& model, const BatchRows& rows, const PagedCache& cache, const Activations& activations) {
  const std::int64_t count = rows.ids.rows();
  const TensorView residual = first_tokens(activations.output, count);
  look_up(residual, rows.ids, model);
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    model.stream.fetch_block(index + 1);
    BlockPass pass{model, rows, activations, i, first_tokens(activations.forward[i], count)};
    block_forward(pass, cache);
    model.stream.give_back_block(index);
  }
  rms_norm_forward(first_tokens(activations.normed, count), first_tokens(activations.inv_rms, count), residual,
                   model.final_norm.weight, static_cast<float>(model.config.rms_norm_eps));
}

}  // namespace attune
