// How long a pass takes under a schedule, from what a machine does in a second: the arithmetic by which a schedule is
// chosen, and the one by which `attune plan` turns tokens into hours.
#pragma once

#include "train/run_plan.h"

namespace attune {

// What limits a pass, per second.
struct MachineSpeed {
  double flops = 0;      // FLOP of linear layers in the activations' type
  double attention = 0;  // necessary FLOP of attention, forward and backward
  double bandwidth = 0;  // bytes of memory
  double decode = 0;     // quantized weights made into numbers
  double disk = 0;       // bytes read from disk
};

// The machine by which schedules are chosen: only the proportions matter. A constant, so that a run that is planned again
// (to be resumed, say) is planned the same.
inline constexpr MachineSpeed kNominalMachine{100e9, 40e9, 20e9, 4e9, 1e9};

// The tokens of a pass (or of many: everything is linear in them but the number of passes).
struct PassWork {
  double passes = 1, tokens = 0, trained_tokens = 0;
  double pairs = 0;  // (query, key) that attention computes for each query head, of one block
};
PassWork pass_work(const ModelConfig& config, std::int64_t tokens, std::int64_t longest_sequence);
double attended_pairs(const ModelConfig& config, std::int64_t sequence_tokens);

// Seconds of forward and backward, by what they go to.
struct PassCost {
  double products = 0, attention = 0, memory = 0, decode = 0;  // once
  double recompute = 0, streaming = 0;                         // what the schedule adds
  double total() const { return products + attention + memory + decode + recompute + streaming; }
};
PassCost pass_cost(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule, const PassWork& work,
                   const MachineSpeed& speed);

// Seconds that one block of `needs` spends on computing again what `keep` drops.
double recompute_seconds(const RunNeeds& needs, const Recipe& recipe, std::int64_t block, Keep keep,
                         const PassWork& work, const MachineSpeed& speed);

}  // namespace attune
