// Every activation and scratch buffer of a pass, named, shaped, with the moments it lives through, placed by the memory
// plan.
//
// A block keeps for its backward pass what its Keep says; the rest is computed again just before it is read, into
// buffers that all blocks share (Chen et al., "Training deep nets with sublinear memory cost", 2016). What is kept lives
// through the whole pass; everything else for a few moments of a block, so that scratch, head and gradients use the same
// bytes one after the other. The MLP may run in chunks of rows. None of this changes a bit of any result.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/weights.h"
#include "ops/head_loss.h"
#include "ops/lora.h"
#include "tensor/memory_plan.h"

namespace attune {

using LoraRanks = std::vector<std::array<std::int64_t, kSlots>>;  // per block and slot; 0: no pair

// The ranks of the pairs that are attached to a model.
LoraRanks lora_ranks_of(const Model& model);

// What a block keeps beside its input. Each keeps less than the one before and takes longer.
enum class Keep : std::uint8_t {
  kAll,        // everything that its backward pass reads
  kProducts,   // without what costs memory traffic only: normed inputs and silu(gate) * up
  kAttention,  // without gate and up: the attention side alone
  kContext,    // only the output of attention and its log-sum-exp
  kInput,      // nothing
};
inline constexpr int kKeeps = 5;
std::string_view name_of(Keep keep);

// Gradients of parameters are summed over blocks of this many tokens, whatever the chunks; chunks are multiples of it.
inline constexpr std::int64_t kGradientRows = 256;

// What a pass must be able to do; decides the buffers.
struct PassOptions {
  std::int64_t tokens = 0;     // N at most
  std::int64_t positions = 0;  // the longest sequence, for the rotary table
  DType act = DType::kF32;     // type of the activations: f32 or bf16
  bool backward = false;
  bool full_training = false;    // gradients of the base as well: the embedding's input gradient is needed
  std::vector<Keep> keep;        // of the first blocks; the others keep all
  std::int64_t mlp_rows = 0;     // tokens per chunk of the MLP, a multiple of kGradientRows; 0: all at once
  std::int64_t head_rows = 256;  // tokens per chunk of the output head
  LoraRanks lora_ranks;          // empty: no adapter
  bool lora_dropout = false;
  bool near_base = false;  // the loss has a term to stay near the base (model/pass.h)
};

// Handle is BufferId in the plan and TensorView once bound. The first dimension of every buffer is N, but buffers of the
// MLP that are not kept have mlp_rows rows.
template <typename Handle>
struct BlockBuffers {
  Handle input;                       // [N, C] the residual stream before the block
  Handle attention_in, inv_rms_1;     // [N, C], [N]
  Handle attention_in_again;          // the same, made again for the gradients of q, k and v
  Handle q_raw, k_raw, q_inv, k_inv;  // before Qwen3's per-head norm: [N, H D], [N, K D], [N H], [N K]; else invalid
  Handle q, k, v;                     // [N, H D], [N, K D], [N, K D]; q and k after rope
  Handle attention_out, log_sum_exp;  // [N, H D], [N, H]
  Handle middle;             // [N, C] the residual stream after attention; invalid: the block's output holds it
  Handle mlp_in, inv_rms_2;  // [N, C], [N]
  Handle gate, up, inner;    // [N, F]; inner = silu(gate) * up
  std::array<Handle, kSlots> hidden;  // [N, R] of each LoRA pair; invalid without one
};

template <typename Handle>
struct PassBuffers {
  std::vector<BlockBuffers<Handle>> forward, backward;  // of each block; the same handle where a tensor is kept
  std::vector<Keep> keep;                               // of each block
  std::int64_t mlp_rows = 0;                            // tokens per chunk of the MLP
  Handle output;                                        // [N, C] the residual stream after the last block
  Handle normed, inv_rms;                               // [N, C], [N] after the final norm
  Handle dresidual, dnormed;      // [N, C] gradients of the residual stream and of the final norm's output
  Handle dinner, dmlp_in;         // [mlp_rows, F], [mlp_rows, C]
  Handle dattention, dq, dk, dv;  // [N, H D] twice, [N, K D] twice
  Handle delta, dattention_in;    // [N, H], [N, C]
  Handle tile;                    // decoded weight rows, or packed operands
  Handle lora_input, lora_dhidden;
  Handle head_rows, head_logits, head_targets, head_losses;
  Handle base_normed, head_base_logits;  // [N, C] of the base's pass, its logits; invalid without near_base
  Handle cosines, sines;                 // [positions, D/2]
};

using ActivationPlan = PassBuffers<BufferId>;
using Activations = PassBuffers<TensorView>;

// Adds the buffers of a pass to `plan`.
ActivationPlan plan_activations(MemoryPlan& plan, const ModelConfig& config, const PassOptions& options);

// Bytes that one block keeps beside its input.
std::size_t kept_bytes(const ModelConfig& config, const PassOptions& options, std::int64_t block, Keep keep);

// The buffers in an arena made from that plan, the rotary table filled.
Activations bind_activations(const ActivationPlan& plan, const Arena& arena, const ModelConfig& config);

// Views of a block's buffers for the first `tokens` tokens (of a chunk, where they hold no more).
BlockBuffers<TensorView> first_tokens(const BlockBuffers<TensorView>& block, std::int64_t tokens);
TensorView first_tokens(TensorView buffer, std::int64_t tokens);

HeadLossScratch head_scratch(const Activations& activations);

}  // namespace attune
