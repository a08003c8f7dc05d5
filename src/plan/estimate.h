// From a plan and a machine to tokens per second, hours and money, and the same for every budget between the least and the
// most that a run can use.
#pragma once

#include <optional>
#include <vector>

#include "plan/machine.h"
#include "plan/plan.h"

namespace attune {

struct Estimate {
  PassCost pass;  // of the largest pass
  double tokens_per_second = 0;
  double streamed_bytes = 0;      // read from disk in a pass
  std::optional<double> seconds;  // of the whole run, with data
  double money = 0;               // of the whole run; 0 where the machine has no price
};
Estimate estimate(const Plan& plan, const RunPlan& run, const MachineProfile& machine);

struct SweepRow {
  std::size_t budget = 0;
  RunPlan run;
  Estimate estimate;
};
// Schedules for budgets that grow evenly from the least that works to what the roomiest schedule takes. Speeds never fall.
std::vector<SweepRow> sweep(const Plan& plan, const MachineProfile& machine, int rows = 10);

}  // namespace attune
