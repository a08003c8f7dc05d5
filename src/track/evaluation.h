// What `attune eval` measured of a run (RUN/eval.json), told as metrics: its numbers, and nobody's words.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace attune {

// Every number in the parts of an evaluation, named by its place: {"held_out":{"tuned":{"loss":2.5}}} is
// eval/held_out/tuned/loss; true is 1, false 0. Numbers outside of a part are settings; lists hold answers, canaries and rows of checks:
// both are left out. Throws BadFile when `evaluation` is not an object.
std::vector<std::pair<std::string, double>> evaluation_metrics(const Json& evaluation, const std::string& where);

// Appends to the run's spool the numbers of its eval.json that are not what was told last, at `step`, the run's last.
// Does nothing when there is no evaluation or nothing was ever told of the run. Only while no other process tells
// anything. Throws BadFile for an eval.json that is none, UserError when the spool cannot be written.
void tell_evaluation(const fs::path& run_folder, std::int64_t step);

}  // namespace attune
