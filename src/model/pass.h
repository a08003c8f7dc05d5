// Forward and backward of a Llama-family transformer, written out op by op: llama_forward.cc and llama_backward.cc
// list the same ops in opposite order. The model is const; everything that changes is in the arguments.
#pragma once

#include <cstdint>
#include <span>

#include "model/activations.h"
#include "model/kv_cache.h"
#include "model/weights.h"

namespace attune {

// The tokens of a pass: sequences laid end to end without padding between them.
struct PassInput {
  TensorView ids;                                 // [N] i32
  TensorView positions;                           // [N] i32, restarting at every sequence
  std::span<const std::int32_t> sequence_starts;  // first token of each sequence, then N
  bool base_only = false;                         // as if no adapter were attached; forward only
};

// Randomness of a training pass; the same values in forward and backward. Off in evaluation.
struct PassNoise {
  bool training = false;
  std::uint64_t seed = 0;
  std::uint64_t pass = 0;    // counts passes, so that each draws new masks
  double neftune_alpha = 0;  // 0: off
};

// Runs the blocks and the final norm; activations.normed holds the result. With a cache (one sequence, no backward),
// the tokens continue what the cache holds, and their keys and values are appended.
void forward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations,
             KvCache* cache = nullptr);

// After forward() and with activations.dnormed holding the gradient of the final norm's output: adds to the gradients
// of every LoRA pair and, in full training, of every weight except the head's.
void backward(const Model& model, const PassInput& input, const PassNoise& noise, const Activations& activations);

// forward, loss over `targets` [N] i32 (kNoTarget: not trained) and backward, of the summed loss. With near_base > 0, of the
// loss plus near_base * KL(base || tuned), the base being the model without its adapter: one more forward pass, and
// activations planned for it.
HeadLoss loss_and_gradients(const Model& model, const PassInput& input, TensorView targets, const PassNoise& noise,
                            const Activations& activations, double near_base = 0);

// forward and loss only. token_losses [N] f32 may be empty.
HeadLoss loss_only(const Model& model, const PassInput& input, TensorView targets, TensorView token_losses,
                   const Activations& activations);

// Logits [n, V] f32 of rows [first, first + n) of activations.normed.
void project_logits(TensorView logits, const Model& model, std::int64_t first, const Activations& activations);

}  // namespace attune
