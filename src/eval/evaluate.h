// The whole evaluation: every measure that was asked for, as eval.json, with the table and the verdict that people
// read.
//
//   {"attune", "model", "adapter", "quantization", "limit",
//    "held_out", "style", "personal_data", "forgetting", "quantization_loss", "leak", "checks",   those measured
//    "samples": [{"prompt", "base", "tuned", "person"}],
//    "table": [[name, base, tuned, person]],       texts, ready to be shown; tuned and person may be empty
//    "verdict": {"good": bool, "text": "..."}}
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "eval/subject.h"

namespace attune {

// Names of the measures, as EvalRequest::only has them.
inline constexpr std::array<std::string_view, 6> kMeasures = {"held-out",     "style", "forgetting",
                                                              "quantization", "leak",  "checks"};

// Runs the measures. Throws Interrupted after Ctrl-C, UserError when there is nothing to measure, and as Subject.
Json evaluate(const EvalRequest& request);

// What `now` measured, and of `earlier`, an evaluation of the same adapter with the same settings, what `now` did not. Any
// other `earlier` is left out.
Json join_evaluations(const Json& earlier, Json now);

// The two parts for people, of an evaluation without them.
Json table_of(const Json& evaluation);
Json verdict_of(const Json& evaluation);

// Table and verdict as lines for a terminal, the columns aligned.
std::string to_text(const Json& evaluation);

}  // namespace attune
