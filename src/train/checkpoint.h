// Checkpoints: everything a run needs to go on bit for bit, in one folder that appears whole or not at all.
//
//   adapter_config.json, adapter_model.safetensors   the adapter, as PEFT reads it (or config.json, model.safetensors
//                                                    in f32 when every weight is trained)
//   optimizer.safetensors                            AdamW's moments, "<parameter>.exp_avg" and ".exp_avg_sq": f32, bf16,
//                                                    or u8 with f32 ".exp_avg.absmax" and ".exp_avg_sq.absmax"
//   state.json                                       step, passes, tokens, position in the data, what the guards and the
//                                                    early stop remember
//
// A checkpoint is written between optimizer steps, where no gradient is pending, so there is no accumulation to store.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "base/file.h"
#include "train/step.h"

namespace attune {

// runs/NAME/checkpoints/step-000123. Writes the folder atomically; UserError when the disk is full or read-only, and
// then nothing of it stays.
fs::path save_checkpoint(const fs::path& checkpoints, const Model& model, const Adapter* adapter,
                         std::span<const TrainedParameter> parameters, const TrainState& state);

// The complete checkpoint with the highest step, or nothing.
std::optional<fs::path> latest_checkpoint(const fs::path& checkpoints);

// Where the checkpoint of a step is, or would be.
fs::path checkpoint_path(const fs::path& checkpoints, std::int64_t step);

// Removes the oldest beyond `limit` (0: keeps all), never that of step `best`.
void prune_checkpoints(const fs::path& checkpoints, std::int64_t limit, std::int64_t best);

// The format of a checkpoint's moments: what a run that goes on from it must use.
OptimizerKind optimizer_of_checkpoint(const fs::path& checkpoint);

// Values, moments and state into the given parameters. BadFile when the checkpoint does not fit them.
TrainState load_checkpoint(const fs::path& checkpoint, std::span<const TrainedParameter> parameters);

}  // namespace attune
