// Every activation and scratch buffer of a pass, named, shaped and placed by the memory plan.
//
// A block keeps what its backward pass reads. A recomputed block keeps only its input; the other buffers are shared by
// all recomputed blocks and filled again just before their backward pass. Without a backward pass all blocks share.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/weights.h"
#include "ops/head_loss.h"
#include "ops/lora.h"
#include "tensor/memory_plan.h"

namespace attune {

using LoraRanks = std::vector<std::array<std::int64_t, kSlots>>;   // per block and slot; 0: no pair

// The ranks of the pairs that are attached to a model.
LoraRanks lora_ranks_of(const Model& model);

// What a pass must be able to do; decides the buffers.
struct PassOptions {
  std::int64_t tokens = 0;             // N at most
  std::int64_t positions = 0;          // the longest sequence, for the rotary table
  DType act = DType::kF32;             // type of the activations: f32 or bf16
  bool backward = false;
  bool full_training = false;          // gradients of the base as well: the embedding's input gradient is needed
  std::int64_t recomputed_blocks = 0;  // the first so many
  std::int64_t head_rows = 256;        // tokens per chunk of the output head
  LoraRanks lora_ranks;                // empty: no adapter
  bool lora_dropout = false;
};

// Handle is BufferId in the plan and TensorView once bound. The first dimension of every buffer is N.
template <typename Handle>
struct BlockBuffers {
  Handle input;                        // [N, C] the residual stream before the block
  Handle attention_in, inv_rms_1;      // [N, C], [N]
  Handle q_raw, k_raw, q_inv, k_inv;   // before Qwen3's per-head norm: [N, H D], [N, K D], [N H], [N K]; else invalid
  Handle q, k, v;                      // [N, H D], [N, K D], [N, K D]; q and k after rope
  Handle attention_out, log_sum_exp;   // [N, H D], [N, H]
  Handle middle;                       // [N, C] the residual stream after attention
  Handle mlp_in, inv_rms_2;            // [N, C], [N]
  Handle gate, up, inner;              // [N, F]; inner = silu(gate) * up
  std::array<Handle, kSlots> hidden;   // [N, R] of each LoRA pair; invalid without one
};

template <typename Handle>
struct PassBuffers {
  std::vector<BlockBuffers<Handle>> blocks;
  Handle output;                       // [N, C] the residual stream after the last block
  Handle normed, inv_rms;              // [N, C], [N] after the final norm
  Handle dresidual, dnormed;           // [N, C] backward from here on
  Handle dinner;                       // [N, F]
  Handle dattention, dq, dk, dv;       // [N, H D], [N, H D], [N, K D], [N, K D]
  Handle delta;                        // [N, H]
  Handle tile;                         // decoded weight rows
  Handle lora_pair, lora_input, lora_dhidden;
  Handle head_rows, head_logits, head_dlogits, head_targets, head_losses;
  Handle cosines, sines;               // [positions, D/2]
};

using ActivationPlan = PassBuffers<BufferId>;
using Activations = PassBuffers<TensorView>;

// Adds the buffers of a pass to `plan`.
ActivationPlan plan_activations(MemoryPlan& plan, const ModelConfig& config, const PassOptions& options);

// The buffers in an arena made from that plan, the rotary table filled.
Activations bind_activations(const ActivationPlan& plan, const Arena& arena, const ModelConfig& config);

// Views of a block's buffers for the first `tokens` tokens.
BlockBuffers<TensorView> first_tokens(const BlockBuffers<TensorView>& block, std::int64_t tokens);
TensorView first_tokens(TensorView buffer, std::int64_t tokens);

LoraScratch lora_scratch(const Activations& activations);
HeadLossScratch head_scratch(const Activations& activations, bool backward);

}  // namespace attune
