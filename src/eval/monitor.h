// Style and forgetting on small samples while a model is trained: what `attune eval` measures of the result, at every
// measurement of the held-out loss.
#pragma once

#include <string>
#include <vector>

#include "eval/checks.h"
#include "tensor/dtype.h"
#include "train/finetune.h"

namespace attune {

struct MonitorOptions {
  std::int64_t style_answers = 0;        // 0: style is not measured
  std::int64_t forgetting_samples = 0;   // passages, and questions; 0: forgetting is not measured
  std::string general_text;              // passages with empty lines between them
  std::vector<Check> general_questions;  // of Kind::kChoices
  DType act = DType::kF32;
  fs::path samples;  // receives a few of the style's answers (eval/run_samples.h); empty: no file
};

// Style needs held-out answers with a prompt before them, forgetting an adapter that can be left out; what cannot be
// measured is absent. The same model gives the same numbers. Throws Interrupted after Ctrl-C, UserError when the samples
// cannot be written.
Measures measure_underway(const MonitorOptions& options, const FinetuneState& state);

}  // namespace attune
