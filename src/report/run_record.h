// A run as its folder tells it: what run.json, metrics.jsonl, recipe.yaml and, where there are such, eval.json and
// samples.json hold. Reads runs of any state: under way, stopped, killed in the middle of a line, finished.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace attune {

// One measured value at a step.
struct Point {
  double step = 0, value = 0;
};
using Curve = std::vector<Point>;

struct RunRecord {
  std::string name;                                              // of the folder
  Json info;                                                     // run.json; an empty object before the first step
  std::string recipe;                                            // recipe.yaml as it is
  Json eval, samples;                                            // eval.json and samples.json, or null
  Curve style_distance, end_of_turn, forgetting, forgetting_kl;  // beside eval_loss
  Curve loss, eval_loss, learning_rate, gradient_norm, tokens_per_second, sol;
  std::vector<double> epoch_ends;  // steps
  double last_step = 0, total_steps = 0;
};

// Throws UserError when `folder` is not a run, BadFile when a JSON file is not what attune writes. Lines of metrics.jsonl
// that are cut or not JSON are left out.
RunRecord read_run_record(const fs::path& folder);

}  // namespace attune
