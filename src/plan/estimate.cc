#include "plan/estimate.h"

#include <algorithm>

namespace attune {

Estimate estimate(const Plan& plan, const RunPlan& run, const MachineProfile& machine) {
  const RunNeeds& needs = plan.needs;
  Estimate result;
  const PassWork pass = pass_work(needs.config, needs.pass_tokens, plan.recipe.train.max_length);
  result.pass = pass_cost(needs, plan.recipe, run.schedule, pass, machine.speed);
  result.tokens_per_second = pass.tokens / result.pass.total();
  result.streamed_bytes =
      2 * static_cast<double>(run.schedule.streamed_blocks) * static_cast<double>(needs.block_bytes);
  if (!plan.data) return result;
  const PlanData& data = *plan.data;
  // An epoch as one piece of work: its tokens, those that are trained, what they attend to, in passes that are full.
  PassWork epoch;
  epoch.tokens = static_cast<double>(data.tokens);
  epoch.trained_tokens = static_cast<double>(data.trained_tokens);
  epoch.pairs = data.pairs;
  epoch.passes = std::max(1.0, epoch.tokens / static_cast<double>(needs.pass_tokens));
  result.tokens_per_second = epoch.tokens / pass_cost(needs, plan.recipe, run.schedule, epoch, machine.speed).total();
  result.seconds = data.epochs * epoch.tokens / result.tokens_per_second;
  result.money = *result.seconds / 3600 * machine.price_per_hour;
  return result;
}

std::vector<SweepRow> sweep(const Plan& plan, const MachineProfile& machine, int rows) {
  Recipe recipe = plan.recipe;
  const std::size_t least = plan_run(plan.needs, recipe, tight_schedule(plan.needs, recipe)).memory.total();
  const std::size_t most = plan_run(plan.needs, recipe, roomy_schedule(plan.needs, recipe)).memory.total();
  std::vector<SweepRow> table;
  for (int i = 0; i < rows; ++i) {
    recipe.memory = least + (most - least) * static_cast<std::size_t>(i) / static_cast<std::size_t>(rows - 1);
    RunPlan run = schedule_run(plan.needs, recipe);
    const Estimate speed = estimate(plan, run, machine);
    table.push_back({recipe.memory, std::move(run), speed});
  }
  return table;
}

}  // namespace attune
