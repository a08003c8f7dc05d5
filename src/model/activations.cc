#include "model/activations.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "model/rope_table.h"
#include "ops/linear.h"

namespace attune {
namespace {

// The moments of a pass in the order of their last occurrence: those of a block stand for all blocks, since what is kept
// lives through every one of them.
enum Moment : int {
  kProjections,
  kAttend,
  kOutput,
  kMlp,  // forward
  kHead,
  kFinalNorm,  // loss, and backward from here on
  kProjectAgain,
  kAttendAgain,
  kOutputAgain,  // recomputation
  kMlpGradients,
  kOutputGradients,
  kAttentionGradients,
  kProjectionGradients,
  kMoments
};

Lifetime at(Moment first, Moment last) { return {first, last + 1}; }
Lifetime at(Moment moment) { return at(moment, moment); }

// Calls f(a.member, b.member) for each buffer of two blocks (or passes) with handles of any kind.
template <typename A, typename B, typename F>
void zip_block(A& a, B& b, F f) {
  f(a.input, b.input), f(a.attention_in, b.attention_in), f(a.inv_rms_1, b.inv_rms_1);
  f(a.attention_in_again, b.attention_in_again);
  f(a.q_raw, b.q_raw), f(a.k_raw, b.k_raw), f(a.q_inv, b.q_inv), f(a.k_inv, b.k_inv);
  f(a.q, b.q), f(a.k, b.k), f(a.v, b.v), f(a.attention_out, b.attention_out), f(a.log_sum_exp, b.log_sum_exp);
  f(a.middle, b.middle), f(a.mlp_in, b.mlp_in), f(a.inv_rms_2, b.inv_rms_2);
  f(a.gate, b.gate), f(a.up, b.up), f(a.inner, b.inner);
  for (std::size_t slot = 0; slot < kSlots; ++slot) f(a.hidden[slot], b.hidden[slot]);
}

template <typename A, typename B, typename F>
void zip_pass(A& a, B& b, F f) {
  f(a.output, b.output), f(a.normed, b.normed), f(a.inv_rms, b.inv_rms);
  f(a.dresidual, b.dresidual), f(a.dnormed, b.dnormed), f(a.dinner, b.dinner), f(a.dmlp_in, b.dmlp_in);
  f(a.dattention, b.dattention), f(a.dq, b.dq), f(a.dk, b.dk), f(a.dv, b.dv);
  f(a.delta, b.delta), f(a.dattention_in, b.dattention_in), f(a.tile, b.tile);
  f(a.lora_input, b.lora_input), f(a.lora_dhidden, b.lora_dhidden);
  f(a.head_rows, b.head_rows), f(a.head_logits, b.head_logits);
  f(a.head_targets, b.head_targets), f(a.head_losses, b.head_losses);
  f(a.base_normed, b.base_normed), f(a.head_base_logits, b.head_base_logits);
  f(a.cosines, b.cosines), f(a.sines, b.sines);
}

// One tensor of a block: the weakest Keep that still keeps it, the rows it has when it is not kept, and when it then
// lives in the forward pass and in the backward pass.
struct BlockTensor {
  std::string name;
  BufferId BlockBuffers<BufferId>::*member;  // nullptr: hidden[slot]
  int slot;
  DType type;
  std::int64_t columns;  // 0: one statistic per token
  Keep kept_by;
  bool chunked;
  Lifetime forward, backward;
};

std::vector<BlockTensor> block_tensors(const ModelConfig& c, DType act, const std::array<std::int64_t, kSlots>& ranks) {
  using B = BlockBuffers<BufferId>;
  std::vector<BlockTensor> tensors;
  const auto add = [&](const char* name, BufferId B::*member, DType type, std::int64_t columns, Keep kept_by,
                       Lifetime forward, Lifetime backward) {
    tensors.push_back({name, member, 0, type, columns, kept_by, kept_by <= Keep::kProducts && forward.begin == kMlp,
                       forward, backward});
  };
  constexpr DType kF32 = DType::kF32;
  const Lifetime projected = at(kProjectAgain, kAttentionGradients);
  add("attention_in", &B::attention_in, act, c.hidden_size, Keep::kAll, at(kProjections), at(kProjectAgain));
  add("attention_in_again", &B::attention_in_again, act, c.hidden_size, Keep::kAll, {0, 0}, at(kProjectionGradients));
  add("inv_rms_1", &B::inv_rms_1, kF32, 0, Keep::kAll, at(kProjections), at(kProjectAgain, kProjectionGradients));
  if (c.qk_norm) {
    add("q_raw", &B::q_raw, act, c.q_size(), Keep::kAttention, at(kProjections), projected);
    add("k_raw", &B::k_raw, act, c.kv_size(), Keep::kAttention, at(kProjections), projected);
    add("q_inv", &B::q_inv, kF32, c.heads, Keep::kAttention, at(kProjections), projected);
    add("k_inv", &B::k_inv, kF32, c.kv_heads, Keep::kAttention, at(kProjections), projected);
  }
  add("q", &B::q, act, c.q_size(), Keep::kAttention, at(kProjections, kAttend), projected);
  add("k", &B::k, act, c.kv_size(), Keep::kAttention, at(kProjections, kAttend), projected);
  add("v", &B::v, act, c.kv_size(), Keep::kAttention, at(kProjections, kAttend), projected);
  const Lifetime attended = at(kAttendAgain, kAttentionGradients);
  add("attention_out", &B::attention_out, act, c.q_size(), Keep::kContext, at(kAttend, kOutput), attended);
  add("log_sum_exp", &B::log_sum_exp, kF32, c.heads, Keep::kContext, at(kAttend, kOutput), attended);
  // In the forward pass a middle that is not kept is the block's output before the MLP adds to it.
  add("middle", &B::middle, act, c.hidden_size, Keep::kAttention, {0, 0}, at(kOutputAgain, kMlpGradients));
  add("mlp_in", &B::mlp_in, act, c.hidden_size, Keep::kAll, at(kMlp), at(kMlpGradients));
  add("inv_rms_2", &B::inv_rms_2, kF32, 0, Keep::kAll, at(kMlp), at(kMlpGradients));
  add("gate", &B::gate, act, c.intermediate_size, Keep::kProducts, at(kMlp), at(kMlpGradients));
  add("up", &B::up, act, c.intermediate_size, Keep::kProducts, at(kMlp), at(kMlpGradients));
  add("inner", &B::inner, act, c.intermediate_size, Keep::kAll, at(kMlp), at(kMlpGradients));
  for (int slot = 0; slot < kSlots; ++slot) {
    if (ranks[static_cast<std::size_t>(slot)] == 0) continue;
    const bool mlp = slot >= static_cast<int>(Slot::kGate), output = slot == static_cast<int>(Slot::kO);
    tensors.push_back({"hidden." + std::string(module_name(static_cast<Slot>(slot))), nullptr, slot, act,
                       ranks[static_cast<std::size_t>(slot)], mlp ? Keep::kProducts : Keep::kAttention, mlp,
                       at(mlp      ? kMlp
                          : output ? kOutput
                                   : kProjections),
                       mlp      ? at(kMlpGradients)
                       : output ? at(kOutputAgain, kOutputGradients)
                                : at(kProjectAgain, kProjectionGradients)});
  }
  return tensors;
}

BufferId& buffer_of(BlockBuffers<BufferId>& block, const BlockTensor& tensor) {
  return tensor.member == nullptr ? block.hidden[static_cast<std::size_t>(tensor.slot)] : block.*tensor.member;
}

std::array<std::int64_t, kSlots> largest_ranks(const LoraRanks& ranks) {
  std::array<std::int64_t, kSlots> largest{};
  for (const auto& block : ranks) {
    for (std::size_t i = 0; i < kSlots; ++i) largest[i] = std::max(largest[i], block[i]);
  }
  return largest;
}

struct Planner {
  MemoryPlan& plan;
  const ModelConfig& config;
  const PassOptions& options;
  std::int64_t mlp_rows;

  BufferId act(const std::string& name, std::int64_t columns, Lifetime lifetime = {}) {
    return plan.add(name, BufferKind::kActivations, options.act, {options.tokens, columns}, lifetime);
  }
  BufferId scratch(const std::string& name, DType type, Shape shape, Lifetime lifetime) {
    return plan.add(name, BufferKind::kScratch, type, shape, lifetime);
  }
  BufferId add(const std::string& name, const BlockTensor& tensor, std::int64_t rows, Lifetime lifetime) {
    const Shape shape = tensor.columns == 0 ? Shape{rows} : Shape{rows, tensor.columns};
    return plan.add(name, BufferKind::kActivations, tensor.type, shape, lifetime);
  }

  // Blocks share what they do not keep; `kept` has a row of its own for each block.
  void blocks(ActivationPlan& pass, const std::array<std::int64_t, kSlots>& largest) {
    BlockBuffers<BufferId> forward, backward;
    std::array<bool, kKeeps> weaker_than{};  // whether some block keeps less than this
    for (const Keep keep : pass.keep) {
      for (int k = 0; k < static_cast<int>(keep); ++k) weaker_than[static_cast<std::size_t>(k)] = true;
    }
    const std::vector<BlockTensor> shared = block_tensors(config, options.act, largest);
    for (const BlockTensor& tensor : shared) {
      if (options.backward && !weaker_than[static_cast<std::size_t>(tensor.kept_by)]) continue;
      const std::int64_t rows = tensor.chunked ? mlp_rows : options.tokens;
      if (tensor.forward.end > 0)
        buffer_of(forward, tensor) = add("forward." + tensor.name, tensor, rows, tensor.forward);
      if (options.backward) buffer_of(backward, tensor) = add("backward." + tensor.name, tensor, rows, tensor.backward);
    }
    if (!options.backward) forward.input = act("residual", config.hidden_size);
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const auto index = static_cast<std::size_t>(i);
      pass.forward.push_back(forward);
      pass.backward.push_back(backward);
      if (!options.backward) continue;
      const std::string prefix = fmt::format("blocks.{}.", i);
      pass.forward[index].input = pass.backward[index].input = act(prefix + "input", config.hidden_size);
      const auto ranks = options.lora_ranks.empty() ? std::array<std::int64_t, kSlots>{} : options.lora_ranks[index];
      for (const BlockTensor& tensor : block_tensors(config, options.act, ranks)) {
        if (pass.keep[index] > tensor.kept_by) continue;
        const bool same = tensor.member == &BlockBuffers<BufferId>::attention_in_again;
        const BufferId kept =
            same ? pass.backward[index].attention_in : add(prefix + tensor.name, tensor, options.tokens, {});
        buffer_of(pass.forward[index], tensor) = buffer_of(pass.backward[index], tensor) = kept;
      }
    }
  }
};

}  // namespace

std::string_view name_of(Keep keep) {
  static constexpr std::array<std::string_view, kKeeps> kNames = {"all", "products", "attention", "context", "input"};
  return kNames[static_cast<std::size_t>(keep)];
}

LoraRanks lora_ranks_of(const Model& model) {
  LoraRanks ranks;
  for (const Block& block : model.blocks) {
    auto& slots = ranks.emplace_back();
    for (std::size_t i = 0; i < kSlots; ++i) slots[i] = block.linears[i].lora.rank;
  }
  return ranks;
}

ActivationPlan plan_activations(MemoryPlan& plan, const ModelConfig& config, const PassOptions& options) {
  const std::int64_t tokens = options.tokens;
  if (options.mlp_rows % kGradientRows != 0) throw InternalError("[activations] chunks of {} rows", options.mlp_rows);
  Planner planner{plan, config, options, options.mlp_rows == 0 ? tokens : std::min(options.mlp_rows, tokens)};
  ActivationPlan pass;
  pass.mlp_rows = planner.mlp_rows;
  pass.keep = options.keep;
  pass.keep.resize(static_cast<std::size_t>(config.layers), Keep::kAll);
  const auto largest = largest_ranks(options.lora_ranks);
  planner.blocks(pass, largest);
  // Without a backward pass the residual stream lives in one buffer from the embedding to the final norm.
  pass.output =
      options.backward ? planner.act("output", config.hidden_size, at(kOutput, kFinalNorm)) : pass.forward[0].input;
  pass.normed = planner.act("normed", config.hidden_size, at(kHead));
  pass.inv_rms = plan.add("inv_rms", BufferKind::kActivations, DType::kF32, {tokens}, at(kHead, kFinalNorm));

  const Lifetime all = at(kProjections, kProjectionGradients);
  const std::int64_t widest = std::max({config.hidden_size, config.intermediate_size, config.q_size()});
  const std::int64_t rank = *std::max_element(largest.begin(), largest.end());
  // In bf16 it holds packed activations, with those of the low-rank product beside them.
  const std::int64_t beside = options.act == DType::kBF16 ? (rank + 63) / 32 * 32 : 0;
  pass.tile = planner.scratch("tile", options.act, {kTileRows * (widest + beside)}, all);
  if (rank > 0 && options.lora_dropout)
    pass.lora_input = planner.scratch("lora_input", options.act, {std::min(kGradientRows, tokens), widest}, all);
  if (options.backward) {
    pass.dresidual = planner.act("dresidual", config.hidden_size, at(kFinalNorm, kProjectionGradients));
    pass.dnormed = planner.act("dnormed", config.hidden_size, at(kHead, kFinalNorm));
    const auto chunk = [&](const char* name, std::int64_t columns) {
      return plan.add(name, BufferKind::kActivations, options.act, {pass.mlp_rows, columns}, at(kMlpGradients));
    };
    pass.dinner = chunk("dinner", config.intermediate_size);
    pass.dmlp_in = chunk("dmlp_in", config.hidden_size);
    pass.dattention = planner.act("dattention", config.q_size(), at(kOutputGradients, kAttentionGradients));
    pass.dq = planner.act("dq", config.q_size(), at(kAttentionGradients, kProjectionGradients));
    pass.dk = planner.act("dk", config.kv_size(), at(kAttentionGradients, kProjectionGradients));
    pass.dv = planner.act("dv", config.kv_size(), at(kAttentionGradients, kProjectionGradients));
    pass.delta =
        plan.add("delta", BufferKind::kActivations, DType::kF32, {tokens, config.heads}, at(kAttentionGradients));
    pass.dattention_in = planner.act("dattention_in", config.hidden_size, at(kProjectionGradients));
    if (rank > 0) pass.lora_dhidden = planner.act("lora_dhidden", rank, at(kMlpGradients, kProjectionGradients));
  }
  const std::int64_t rows = std::min(options.head_rows, tokens);
  pass.head_rows = planner.scratch("head_rows", options.act, {rows, config.hidden_size}, at(kHead));
  pass.head_logits = planner.scratch("head_logits", DType::kF32, {rows, config.vocab_size}, at(kHead));
  if (options.near_base) {
    pass.base_normed = planner.act("base_normed", config.hidden_size, at(kProjections, kHead));
    pass.head_base_logits = planner.scratch("head_base_logits", DType::kF32, {rows, config.vocab_size}, at(kHead));
  }
  pass.head_targets = planner.scratch("head_targets", DType::kI32, {rows}, at(kHead));
  pass.head_losses = planner.scratch("head_losses", DType::kF32, {rows}, at(kHead));
  pass.cosines = planner.scratch("rope_cosines", DType::kF32, {options.positions, config.head_dim / 2}, {});
  pass.sines = planner.scratch("rope_sines", DType::kF32, {options.positions, config.head_dim / 2}, {});
  return pass;
}

std::size_t kept_bytes(const ModelConfig& config, const PassOptions& options, std::int64_t block, Keep keep) {
  const auto ranks = options.lora_ranks.empty() ? std::array<std::int64_t, kSlots>{}
                                                : options.lora_ranks[static_cast<std::size_t>(block)];
  std::size_t bytes = 0;
  for (const BlockTensor& tensor : block_tensors(config, options.act, ranks)) {
    if (keep > tensor.kept_by || tensor.member == &BlockBuffers<BufferId>::attention_in_again) continue;
    bytes +=
        static_cast<std::size_t>(options.tokens * std::max<std::int64_t>(1, tensor.columns)) * size_of(tensor.type);
  }
  return bytes;
}

Activations bind_activations(const ActivationPlan& plan, const Arena& arena, const ModelConfig& config) {
  Activations bound;
  const auto bind = [&](TensorView& view, const BufferId& id) { view = arena.view(id); };
  bound.forward.resize(plan.forward.size());
  bound.backward.resize(plan.backward.size());
  for (std::size_t i = 0; i < plan.forward.size(); ++i) {
    zip_block(bound.forward[i], plan.forward[i], bind);
    zip_block(bound.backward[i], plan.backward[i], bind);
  }
  zip_pass(bound, plan, bind);
  bound.keep = plan.keep;
  bound.mlp_rows = plan.mlp_rows;
  fill_rope_table(bound.cosines, bound.sines, config);
  return bound;
}

TensorView first_tokens(TensorView buffer, std::int64_t tokens) {
  return buffer.empty() ? buffer : buffer.slice_rows(0, std::min(tokens, buffer.rows()));
}

BlockBuffers<TensorView> first_tokens(const BlockBuffers<TensorView>& block, std::int64_t tokens) {
  BlockBuffers<TensorView> part;
  zip_block(part, block, [&](TensorView& view, const TensorView& whole) { view = first_tokens(whole, tokens); });
  return part;
}

HeadLossScratch head_scratch(const Activations& a) {
  return {a.head_rows, a.head_logits, a.head_targets, a.head_losses, a.tile, a.head_base_logits};
}

}  // namespace attune
