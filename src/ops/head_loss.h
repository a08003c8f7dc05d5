// The output head and its cross-entropy, a chunk of trained tokens at a time: the full [N, V] logits never exist, and
// tokens that are not trained on are never projected (cf. Wijmans et al., "Cut your losses", 2025).
#pragma once

#include <cstdint>

#include "quant/weight.h"
#include "tensor/tensor.h"

namespace attune {

inline constexpr std::int32_t kNoTarget = -1;

struct HeadLossScratch {
  TensorView rows;      // [chunk, C] act: gathered inputs, then their gradients
  TensorView logits;    // [chunk, V] f32
  TensorView dlogits;   // [chunk, V] act; empty when act is f32 (logits serves) or without backward
  TensorView targets;   // [chunk] i32
  TensorView losses;    // [chunk] f32
  TensorView tile;      // weight tile, see ops/linear.h
};

struct HeadLoss {
  double sum = 0;            // of -log p(target) over the trained tokens
  std::int64_t tokens = 0;   // how many
};

// x [N, C] act, targets [N] i32 (kNoTarget: not trained). token_losses [N] f32, when not empty, receives each token's
// loss (0 where there is no target).
HeadLoss head_loss_forward(TensorView token_losses, TensorView x, const WeightMatrix& weight, TensorView targets,
                           const HeadLossScratch& scratch);

// The same, and the gradients of the sum: dx [N, C] act is overwritten (0 where there is no target); dweight [V, C]
// f32 accumulates unless empty.
HeadLoss head_loss_backward(TensorView dx, TensorView dweight, TensorView x, const WeightMatrix& weight,
                            TensorView targets, const HeadLossScratch& scratch);

}  // namespace attune
