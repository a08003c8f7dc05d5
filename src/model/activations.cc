#include "model/activations.h"

#include <algorithm>

#include "base/error.h"
#include "model/rope_table.h"
#include "ops/linear.h"

namespace attune {
namespace {

// Calls f(a.member, b.member) for each buffer of two blocks (or passes) with handles of any kind.
template <typename A, typename B, typename F>
void zip_block(A& a, B& b, F f) {
  f(a.input, b.input), f(a.attention_in, b.attention_in), f(a.inv_rms_1, b.inv_rms_1);
  f(a.q_raw, b.q_raw), f(a.k_raw, b.k_raw), f(a.q_inv, b.q_inv), f(a.k_inv, b.k_inv);
  f(a.q, b.q), f(a.k, b.k), f(a.v, b.v), f(a.attention_out, b.attention_out), f(a.log_sum_exp, b.log_sum_exp);
  f(a.middle, b.middle), f(a.mlp_in, b.mlp_in), f(a.inv_rms_2, b.inv_rms_2);
  f(a.gate, b.gate), f(a.up, b.up), f(a.inner, b.inner);
  for (std::size_t slot = 0; slot < kSlots; ++slot) f(a.hidden[slot], b.hidden[slot]);
}

template <typename A, typename B, typename F>
void zip_pass(A& a, B& b, F f) {
  f(a.output, b.output), f(a.normed, b.normed), f(a.inv_rms, b.inv_rms);
  f(a.dresidual, b.dresidual), f(a.dnormed, b.dnormed), f(a.dinner, b.dinner), f(a.dattention, b.dattention);
  f(a.dq, b.dq), f(a.dk, b.dk), f(a.dv, b.dv), f(a.delta, b.delta), f(a.tile, b.tile);
  f(a.lora_pair, b.lora_pair), f(a.lora_input, b.lora_input), f(a.lora_dhidden, b.lora_dhidden);
  f(a.head_rows, b.head_rows), f(a.head_logits, b.head_logits), f(a.head_dlogits, b.head_dlogits);
  f(a.head_targets, b.head_targets), f(a.head_losses, b.head_losses);
  f(a.cosines, b.cosines), f(a.sines, b.sines);
}

// Adds buffers of a pass, remembering what they share.
struct Planner {
  MemoryPlan& plan;
  const ModelConfig& config;
  const PassOptions& options;

  BufferId act(const std::string& name, std::int64_t columns) {
    return plan.add(name, BufferKind::kActivations, options.act, {options.tokens, columns});
  }
  BufferId statistic(const std::string& name, std::int64_t columns = 0) {
    const Shape shape = columns == 0 ? Shape{options.tokens} : Shape{options.tokens, columns};
    return plan.add(name, BufferKind::kActivations, DType::kF32, shape);
  }
  BufferId scratch(const std::string& name, DType type, Shape shape) {
    return plan.add(name, BufferKind::kScratch, type, shape);
  }

  // All of a block but its input.
  BlockBuffers<BufferId> block(const std::string& prefix, const std::array<std::int64_t, kSlots>& ranks) {
    BlockBuffers<BufferId> b;
    b.attention_in = act(prefix + "attention_in", config.hidden_size);
    b.inv_rms_1 = statistic(prefix + "inv_rms_1");
    b.q = act(prefix + "q", config.q_size());
    b.k = act(prefix + "k", config.kv_size());
    b.v = act(prefix + "v", config.kv_size());
    if (config.qk_norm) {
      b.q_raw = act(prefix + "q_raw", config.q_size());
      b.k_raw = act(prefix + "k_raw", config.kv_size());
      b.q_inv = statistic(prefix + "q_inv", config.heads);
      b.k_inv = statistic(prefix + "k_inv", config.kv_heads);
    }
    b.attention_out = act(prefix + "attention_out", config.q_size());
    b.log_sum_exp = statistic(prefix + "log_sum_exp", config.heads);
    b.middle = act(prefix + "middle", config.hidden_size);
    b.mlp_in = act(prefix + "mlp_in", config.hidden_size);
    b.inv_rms_2 = statistic(prefix + "inv_rms_2");
    b.gate = act(prefix + "gate", config.intermediate_size);
    b.up = act(prefix + "up", config.intermediate_size);
    b.inner = act(prefix + "inner", config.intermediate_size);
    for (int slot = 0; slot < kSlots; ++slot) {
      const auto i = static_cast<std::size_t>(slot);
      if (ranks[i] > 0) b.hidden[i] = act(prefix + "hidden." + std::string(module_name(static_cast<Slot>(slot))), ranks[i]);
    }
    return b;
  }
};

std::array<std::int64_t, kSlots> largest_ranks(const LoraRanks& ranks) {
  std::array<std::int64_t, kSlots> largest{};
  for (const auto& block : ranks) {
    for (std::size_t i = 0; i < kSlots; ++i) largest[i] = std::max(largest[i], block[i]);
  }
  return largest;
}

}  // namespace

LoraRanks lora_ranks_of(const Model& model) {
  LoraRanks ranks;
  for (const Block& block : model.blocks) {
    auto& slots = ranks.emplace_back();
    for (std::size_t i = 0; i < kSlots; ++i) slots[i] = block.linears[i].lora.rank;
  }
  return ranks;
}

ActivationPlan plan_activations(MemoryPlan& plan, const ModelConfig& config, const PassOptions& options) {
  Planner planner{plan, config, options};
  ActivationPlan pass;
  const auto ranks_of = [&](std::int64_t block) {
    return options.lora_ranks.empty() ? std::array<std::int64_t, kSlots>{}
                                      : options.lora_ranks[static_cast<std::size_t>(block)];
  };
  const auto largest = largest_ranks(options.lora_ranks);
  const std::int64_t recomputed = options.backward ? std::min(options.recomputed_blocks, config.layers) : config.layers;
  BlockBuffers<BufferId> shared;
  if (recomputed > 0) shared = planner.block("blocks.shared.", largest);
  if (!options.backward) shared.input = planner.act("blocks.shared.input", config.hidden_size);
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = fmt::format("blocks.{}.", i);
    pass.blocks.push_back(i < recomputed ? shared : planner.block(prefix, ranks_of(i)));
    if (options.backward) pass.blocks.back().input = planner.act(prefix + "input", config.hidden_size);
  }
  // Without a backward pass the residual stream lives in one buffer from the embedding to the final norm.
  pass.output = options.backward ? planner.act("output", config.hidden_size) : shared.input;
  pass.normed = planner.act("normed", config.hidden_size);
  pass.inv_rms = planner.statistic("inv_rms");

  const std::int64_t tokens = options.tokens;
  const std::int64_t widest = std::max({config.hidden_size, config.intermediate_size, config.q_size()});
  pass.tile = planner.scratch("tile", options.act, {kTileRows * widest});
  const std::int64_t rank = *std::max_element(largest.begin(), largest.end());
  if (rank > 0) {
    if (options.act != DType::kF32) pass.lora_pair = planner.scratch("lora_pair", options.act, {2 * rank * widest});
    if (options.lora_dropout) pass.lora_input = planner.scratch("lora_input", options.act, {tokens, widest});
  }
  if (options.backward) {
    pass.dresidual = planner.act("dresidual", config.hidden_size);
    pass.dnormed = planner.act("dnormed", config.hidden_size);
    pass.dinner = planner.act("dinner", config.intermediate_size);
    pass.dattention = planner.act("dattention", config.q_size());
    pass.dq = planner.act("dq", config.q_size());
    pass.dk = planner.act("dk", config.kv_size());
    pass.dv = planner.act("dv", config.kv_size());
    pass.delta = planner.statistic("delta", config.heads);
    if (rank > 0) pass.lora_dhidden = planner.scratch("lora_dhidden", options.act, {tokens, rank});
  }
  const std::int64_t rows = std::min(options.head_rows, tokens);
  pass.head_rows = planner.scratch("head_rows", options.act, {rows, config.hidden_size});
  pass.head_logits = planner.scratch("head_logits", DType::kF32, {rows, config.vocab_size});
  if (options.backward && options.act != DType::kF32) {
    pass.head_dlogits = planner.scratch("head_dlogits", options.act, {rows, config.vocab_size});
  }
  pass.head_targets = planner.scratch("head_targets", DType::kI32, {rows});
  pass.head_losses = planner.scratch("head_losses", DType::kF32, {rows});
  pass.cosines = planner.scratch("rope_cosines", DType::kF32, {options.positions, config.head_dim / 2});
  pass.sines = planner.scratch("rope_sines", DType::kF32, {options.positions, config.head_dim / 2});
  return pass;
}

Activations bind_activations(const ActivationPlan& plan, const Arena& arena, const ModelConfig& config) {
  Activations bound;
  const auto bind = [&](TensorView& view, const BufferId& id) { view = arena.view(id); };
  bound.blocks.resize(plan.blocks.size());
  for (std::size_t i = 0; i < plan.blocks.size(); ++i) zip_block(bound.blocks[i], plan.blocks[i], bind);
  zip_pass(bound, plan, bind);
  fill_rope_table(bound.cosines, bound.sines, config);
  return bound;
}

TensorView first_tokens(TensorView buffer, std::int64_t tokens) {
  return buffer.empty() ? buffer : buffer.slice_rows(0, tokens);
}

BlockBuffers<TensorView> first_tokens(const BlockBuffers<TensorView>& block, std::int64_t tokens) {
  BlockBuffers<TensorView> part;
  zip_block(part, block, [&](TensorView& view, const TensorView& whole) { view = first_tokens(whole, tokens); });
  return part;
}

LoraScratch lora_scratch(const Activations& activations) {
  return {activations.lora_pair, activations.lora_input, activations.lora_dhidden};
}

HeadLossScratch head_scratch(const Activations& a, bool backward) {
  return {a.head_rows, a.head_logits, backward ? a.head_dlogits : TensorView{}, a.head_targets, a.head_losses, a.tile};
}

}  // namespace attune
