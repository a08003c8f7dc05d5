// Learning-rate schedules, the same numbers as transformers' get_scheduler.
#pragma once

#include <cstdint>

namespace attune {

enum class LrScheduler : std::uint8_t { kConstant, kConstantWithWarmup, kLinear, kCosine };

// Steps of warm-up: `warmup_steps` when it is positive, else warmup_ratio of all steps, rounded up.
std::int64_t count_warmup_steps(std::int64_t total_steps, std::int64_t warmup_steps, double warmup_ratio);

// What the peak learning rate is multiplied with in the update that follows `step` finished updates (0 at
// first). kConstant ignores the warm-up; at step >= total_steps the decaying ones give 0.
double learning_rate_factor(LrScheduler scheduler, std::int64_t step, std::int64_t warmup_steps,
                            std::int64_t total_steps);

}  // namespace attune
