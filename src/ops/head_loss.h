// The output head and its cross-entropy, a chunk of trained tokens at a time: the full [N, V] logits never exist, and
// tokens that are not trained on are never projected (cf. Wijmans et al., "Cut your losses", 2025).
#pragma once

#include <cstdint>

#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

inline constexpr std::int32_t kNoTarget = -1;

struct HeadLossScratch {
  TensorView rows;         // [chunk, C] act: gathered inputs, then their gradients
  TensorView logits;       // [chunk, V] f32, and then their gradient, act
  TensorView targets;      // [chunk] i32
  TensorView losses;       // [chunk] f32
  TensorView tile;         // weight tile, see ops/linear.h
  TensorView base_logits;  // [chunk, V] f32, for a base to stay near to; else empty
};

// A second model whose distribution is to be stayed near to: adds weight * KL(base || this) over the trained tokens.
struct NearBase {
  TensorView x;  // [N, C] act: its inputs to the same head; empty: none
  float weight = 0;
};

struct HeadLoss {
  double sum = 0;           // of -log p(target) over the trained tokens
  std::int64_t tokens = 0;  // how many
  double divergence = 0;    // sum of KL(base || this), not weighted; not part of `sum`
};

// x [N, C] act, targets [N] i32 (kNoTarget: not trained). token_losses [N] f32, when not empty, receives each token's
// loss (0 where there is no target).
HeadLoss head_loss_forward(TensorView token_losses, TensorView x, const WeightMatrix& weight, TensorView targets,
                           const HeadLossScratch& scratch);

// The same, and the gradients of the sum: dx [N, C] act is overwritten (0 where there is no target); dweight [V, C]
// f32 accumulates unless empty. With a base, dx is the gradient of the sum plus the weighted divergence; dweight is then
// empty, as the base's head must not move.
HeadLoss head_loss_backward(TensorView dx, TensorView dweight, TensorView x, const WeightMatrix& weight,
                            TensorView targets, const HeadLossScratch& scratch, const NearBase& base = {});

}  // namespace attune
