#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attune {

std::int64_t count_warmup_steps(std::int64_t total_steps, std::int64_t warmup_steps, double warmup_ratio) {
  if (warmup_steps > 0) return warmup_steps;
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(total_steps) * warmup_ratio));
}

double learning_rate_factor(LrScheduler scheduler, std::int64_t step, std::int64_t warmup_steps,
                            std::int64_t total_steps) {
  if (scheduler == LrScheduler::kConstant) return 1.0;
  if (step < warmup_steps) {
    return static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(1, warmup_steps));
  }
  if (scheduler == LrScheduler::kConstantWithWarmup) return 1.0;
  const auto decay_steps = static_cast<double>(std::max<std::int64_t>(1, total_steps - warmup_steps));
  if (scheduler == LrScheduler::kLinear) {
    return std::max(0.0, static_cast<double>(total_steps - step) / decay_steps);
  }
  // transformers goes on along the cosine after the last step, and up again; we stay at 0.
  const double progress = std::min(1.0, static_cast<double>(step - warmup_steps) / decay_steps);
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

}  // namespace attune
