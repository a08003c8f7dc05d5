// Which schedule a run takes. For every size of the chunks and every format of the optimizer's state there is one chain of
// schedules, each a little smaller and slower than the one before: first the blocks keep less, one block at a time, always
// the step that frees most bytes per second lost; then weights stay on disk. The first of a chain that fits is its best,
// and the fastest of those is the schedule.
#include <algorithm>
#include <array>
#include <span>

#include "train/run_cost.h"

namespace attune {
namespace {

constexpr std::array<std::int64_t, 6> kMlpRows = {0, 4096, 2048, 1024, 512, 256};
// The head's weight is laid out anew for every chunk: beside 256 rows that is a tenth of the products, beside 1,024 a
// fortieth.
constexpr std::array<std::int64_t, 6> kHeadRows = {1024, 512, 256, 128, 64, 32};
static_assert(kMlpRows.back() % kGradientRows == 0);

// A smaller optimizer state rounds more: it must be worth so much time.
constexpr double kWorthRounding = 0.95;

bool may_recompute(const Recipe& recipe) { return recipe.train.gradient_checkpointing != Checkpointing::kOff; }

std::vector<OptimizerKind> optimizers_of(const Recipe& recipe) {
  if (recipe.train.optim != OptimizerKind::kAuto) return {recipe.train.optim};
  return {OptimizerKind::kAdamW, OptimizerKind::kAdamWBf16, OptimizerKind::kAdamW8Bit};
}

// Chunks of the head that differ for this many tokens, the largest first. In full training the head's weights are trained,
// and their sums over tokens must not depend on the chunks: there is one size.
std::span<const std::int64_t> head_rows_of(const RunNeeds& needs) {
  static constexpr std::array<std::int64_t, 1> kOfFullTraining = {256};
  if (needs.ranks.empty()) return kOfFullTraining;
  std::span<const std::int64_t> rows = kHeadRows;
  while (rows.size() > 1 && rows[1] >= needs.pass_tokens) rows = rows.subspan(1);
  return rows;
}

// What blocks keep, from all to their input, without the steps that are worse than going on to the next: the lower hull of
// seconds over bytes.
std::vector<Keep> worthwhile_keeps(const RunNeeds& needs, const Recipe& recipe, const PassWork& work) {
  const PassOptions options = pass_options(needs, recipe, {});
  struct Point {
    Keep keep;
    double bytes, seconds;
  };
  std::vector<Point> hull;
  for (int k = 0; k < kKeeps; ++k) {
    const auto keep = static_cast<Keep>(k);
    const Point next{keep, static_cast<double>(kept_bytes(needs.config, options, 0, keep)),
                     k == 0 ? 0 : recompute_seconds(needs, recipe, 0, keep, work, kNominalMachine)};
    const auto seconds_per_byte = [](const Point& a, const Point& b) {
      return (b.seconds - a.seconds) / (a.bytes - b.bytes);
    };
    while (hull.size() > 1 &&
           seconds_per_byte(hull[hull.size() - 2], hull.back()) >= seconds_per_byte(hull.back(), next)) {
      hull.pop_back();
    }
    hull.push_back(next);
  }
  std::vector<Keep> keeps;
  for (const Point& point : hull) keeps.push_back(point.keep);
  return keeps;
}

// Schedules with the same chunks and optimizer, from the roomiest to the tightest.
struct Chain {
  const RunNeeds& needs;
  const Recipe& recipe;
  std::vector<Keep> keeps;
  Schedule base;

  std::int64_t keep_steps() const { return static_cast<std::int64_t>(keeps.size() - 1) * needs.config.layers; }
  bool streams() const { return needs.block_bytes > 0; }
  std::int64_t last() const { return keep_steps() + (streams() ? 1 + needs.config.layers : 0); }
  Schedule at(std::int64_t step) const {
    Schedule schedule = base;
    const std::int64_t layers = needs.config.layers, kept = std::min(step, keep_steps());
    const std::int64_t level = kept / layers, moved = kept % layers;
    for (std::int64_t block = 0; block < layers; ++block) {
      schedule.keep.push_back(keeps[static_cast<std::size_t>(block < moved ? level + 1 : level)]);
    }
    if (step > keep_steps()) {
      schedule.stream_embedding = needs.embedding_bytes > 0;
      schedule.streamed_blocks = step - keep_steps() - 1;
    }
    return schedule;
  }
};

// The first step whose plan fits, or nothing.
std::optional<Schedule> first_fit(const Chain& chain) {
  const auto fits_at = [&](std::int64_t step) {
    return fits(plan_run(chain.needs, chain.recipe, chain.at(step)), chain.needs, chain.recipe);
  };
  if (!fits_at(chain.last())) return std::nullopt;
  std::int64_t low = 0, high = chain.last();
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (fits_at(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return chain.at(low);
}

struct Best {
  std::optional<Schedule> schedule;
  double seconds = 0;
};

Best best_with(OptimizerKind optimizer, const RunNeeds& needs, const Recipe& recipe) {
  const PassWork work = pass_work(needs.config, needs.pass_tokens, recipe.train.max_length);
  const auto seconds = [&](const Schedule& schedule) {
    return pass_cost(needs, recipe, schedule, work, kNominalMachine).total();
  };
  std::vector<Keep> keeps = {Keep::kAll};
  if (recipe.train.gradient_checkpointing == Checkpointing::kOn) keeps = {Keep::kInput};
  if (recipe.train.gradient_checkpointing == Checkpointing::kAuto) keeps = worthwhile_keeps(needs, recipe, work);
  Best best;
  for (const std::int64_t mlp_rows : kMlpRows) {
    if (mlp_rows >= needs.pass_tokens) continue;
    for (const std::int64_t head_rows : head_rows_of(needs)) {
      const Chain chain{needs, recipe, keeps, {{}, mlp_rows, head_rows, optimizer}};
      if (best.schedule && seconds(chain.at(0)) >= best.seconds) continue;
      const auto found = first_fit(chain);
      if (!found) continue;
      if (const double taken = seconds(*found); !best.schedule || taken < best.seconds) best = {found, taken};
      if (*found == chain.at(0)) break;  // smaller chunks can only be slower
    }
  }
  return best;
}

}  // namespace

Schedule roomy_schedule(const RunNeeds& needs, const Recipe& recipe) {
  Schedule schedule;
  schedule.head_rows = head_rows_of(needs).front();
  schedule.optimizer = optimizers_of(recipe).front();
  return schedule;
}

Schedule tight_schedule(const RunNeeds& needs, const Recipe& recipe) {
  Schedule schedule;
  schedule.optimizer = optimizers_of(recipe).back();
  schedule.head_rows = head_rows_of(needs).back();
  if (may_recompute(recipe)) schedule.keep.assign(static_cast<std::size_t>(needs.config.layers), Keep::kInput);
  if (needs.pass_tokens > kMlpRows.back()) schedule.mlp_rows = kMlpRows.back();
  if (needs.block_bytes > 0) {
    schedule.stream_embedding = needs.embedding_bytes > 0;
    schedule.streamed_blocks = needs.config.layers;
  }
  return schedule;
}

RunPlan schedule_run(const RunNeeds& needs, const Recipe& recipe) {
  Best best;
  for (const OptimizerKind optimizer : optimizers_of(recipe)) {
    const Best found = best_with(optimizer, needs, recipe);
    if (!found.schedule) continue;
    const bool streams_less = best.schedule && found.schedule->streamed_blocks < best.schedule->streamed_blocks;
    if (!best.schedule || streams_less || found.seconds < kWorthRounding * best.seconds) best = found;
    if (best.schedule->recomputed_blocks() == 0 && best.schedule->mlp_rows == 0) break;  // nothing left to gain
  }
  return plan_run(needs, recipe, best.schedule ? *best.schedule : tight_schedule(needs, recipe));
}

}  // namespace attune
