// One optimizer step: where training happens.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "batch/stream.h"
#include "model/pass.h"
#include "train/loss_guard.h"
#include "train/optimizer.h"

namespace attune {

struct StepOptions {
  std::int64_t gradient_accumulation = 1;  // micro-batches per step; an epoch's last step may have fewer
  double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double max_grad_norm = 1.0;  // 0: no clipping
  double neftune_alpha = 0;
  double kl_to_base = 0;  // see loss_and_gradients()
  std::uint64_t seed = 0;
  double most_loss = std::numeric_limits<double>::infinity();  // a step with a larger one changes nothing
};

// The best measurement of the held-out loss so far.
struct BestEval {
  std::int64_t step = -1;  // -1: none yet
  double loss = std::numeric_limits<double>::infinity();
  std::int64_t since = 0;  // measurements after it, none of them better
};

// What a checkpoint stores beside the tensors.
struct TrainState {
  std::int64_t step = 0;     // optimizer steps done
  std::uint64_t passes = 0;  // micro-batches done: names the random masks
  std::int64_t tokens = 0;   // seen so far, padding not counted
  DataPosition position;
  LossHistory losses;
  std::int64_t skipped = 0;  // steps in a row that changed nothing
  BestEval best;
};

struct StepReport {
  std::int64_t step = 0;
  double loss = 0;           // mean over the step's supervised tokens
  double kl_to_base = 0;     // KL(base || tuned) a token, when it is part of the loss
  double gradient_norm = 0;  // of that mean, before clipping
  double learning_rate = 0;
  double epoch = 0;
  std::int64_t tokens = 0, supervised_tokens = 0;
  double seconds = 0, work = 0;  // necessary FLOP, see model/flops.h
  bool skipped = false;          // not finite or too large: parameters and moments were left as they were
};

// Takes micro-batches from `batches`, accumulates the gradients of their summed loss, divides by the supervised tokens
// of the whole step (so that a short micro-batch weighs what its tokens weigh), clips and updates. Allocates nothing
// once every shape has occurred. A loss that is not finite or above most_loss leaves parameters and moments untouched: see
// the report.
StepReport train_step(const Model& model, std::span<const TrainedParameter> parameters, BatchStream& batches,
                      Batch& batch, const Activations& activations, const LoraRanks& ranks, const StepOptions& options,
                      TrainState& state);

// The tokens of a batch as the engine's input; views into `batch`.
PassInput pass_input(Batch& batch);
TensorView targets_of(Batch& batch);

}  // namespace attune
