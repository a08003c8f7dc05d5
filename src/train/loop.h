// A training run from its first step (or its last checkpoint) to its end: when to evaluate, save, log and stop.
// The steps themselves are train/step.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "adapter/lora.h"
#include "base/json.h"
#include "batch/batch.h"
#include "model/weights.h"
#include "train/recipe.h"
#include "train/run_plan.h"
#include "train/step.h"

namespace attune {

// What the held-out loss does not tell, as who can see more than train/ measures it; absent: not measured.
struct Measures {
  std::optional<double> style_distance;  // of answers from the person's; 0 alike, 1 nothing in common
  std::optional<double> end_of_turn;     // share of answers that end by themselves
  std::optional<double> forgetting;      // by how much the loss on general words has risen, as a share of the base's
  std::optional<double> forgetting_kl;   // KL(base || tuned) on them, in nats a token
};

// Held-out data, measured without noise.
struct EvalReport {
  std::int64_t step = 0;
  double loss = 0;  // NaN without held-out data
  std::int64_t tokens = 0;
  Measures measures;
};

struct RunStart {
  std::int64_t first_step = 0, total_steps = 0, warmup_steps = 0;
  double gemm_peak = 0;  // FLOP/s, measured now
  RunMemory memory;
  std::int64_t trained_parameters = 0, all_parameters = 0;
};

// Called on the training thread; any may be empty.
struct LoopCallbacks {
  std::function<void(const RunStart&)> on_start;
  std::function<void(const StepReport&, double sol)> on_step;
  // Asked with each held-out loss. While it runs, the activations' memory is free: `room` bytes that it may take without
  // the run taking more than planned. After Ctrl-C it may throw Interrupted, and the run goes on to its checkpoint.
  std::function<Measures(std::int64_t step, std::size_t room)> measure;
  std::function<void(const EvalReport&)> on_eval;
  std::function<void(const fs::path&)> on_checkpoint;
  std::function<void(const StepReport&, const std::string& why)>
      on_skip;                                       // after on_step, for a step that changed nothing
  std::function<void(const Json& line)> on_metrics;  // each line of metrics.jsonl, when it is written
};

struct RunSummary {
  std::int64_t steps = 0, tokens = 0;
  double seconds = 0;  // in steps of this process
  double tokens_per_second = 0, sol = 0;
  double last_loss = 0;
  double valid_loss_before = 0, valid_loss_after = 0;  // NaN without held-out data
  BestEval best;                                       // step -1 without held-out data
  bool stopped_early = false;                          // the held-out loss did not get better for so long, or:
  bool forgot_too_much = false;                        // more than eval.early_stopping_forgetting
  Measures measures;                                   // the last
  std::int64_t result_step = 0;  // whose values the run ends with: the last, or the best if the recipe says so
  RunMemory memory;
  std::size_t peak_bytes = 0;  // measured by the operating system
};

// What a run works on. The model (and adapter) are changed in place.
struct Run {
  Model& model;
  Adapter* adapter;  // nullptr: every weight is trained
  const TokenizedDataset& train;
  const TokenizedDataset& valid;  // may be empty
  const Recipe& recipe;
  fs::path folder;                // receives metrics.jsonl and checkpoints/
  bool resume = false;            // go on from the latest checkpoint, if there is one
  const RunPlan* plan = nullptr;  // made before the model was loaded by its schedule; nullptr: made here
  double gemm_peak = 0;           // FLOP/s of products; 0: measured here
};

// Throws Interrupted after Ctrl-C, when the checkpoint is on disk; UserError when the memory budget cannot hold the run
// (naming the nearest that can) or the loss stays NaN.
RunSummary run_training(const Run& run, const LoopCallbacks& callbacks);

}  // namespace attune
