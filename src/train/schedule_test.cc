// Schedules against transformers 5.23. The expected numbers were printed by:
//
//   import torch
//   from transformers import TrainingArguments, get_scheduler
//   for name in "constant constant_with_warmup linear cosine".split():
//       for warmup, total in ((0, 4), (3, 10)):
//           optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
//           s = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
//           row = []
//           for _ in range(total):
//               row.append(s.get_last_lr()[0]); optimizer.step(); s.step()
//           print(name, warmup, total, row)
//   for total, steps in ((1000, 0.03), (100, 0.07), (10, 0.05), (30, 0.1), (50, 7), (50, 0.0)):
//       print(total, steps, TrainingArguments("x", warmup_steps=steps).get_warmup_steps(total))
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace attune {
namespace {

struct Case {
  LrScheduler scheduler;
  std::int64_t warmup, total;
  std::vector<double> expected;
};

TEST(Schedule, GivesTheNumbersOfTransformers) {
  const std::vector<Case> cases = {
      {LrScheduler::kConstant, 0, 4, {1, 1, 1, 1}},
      {LrScheduler::kConstant, 3, 10, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
      {LrScheduler::kConstantWithWarmup, 0, 4, {1, 1, 1, 1}},
      {LrScheduler::kConstantWithWarmup, 3, 10, {0, 0.3333333333333333, 0.6666666666666666, 1, 1, 1, 1, 1, 1, 1}},
      {LrScheduler::kLinear, 0, 4, {1, 0.75, 0.5, 0.25}},
      {LrScheduler::kLinear,
       3,
       10,
       {0, 0.3333333333333333, 0.6666666666666666, 1, 0.8571428571428571, 0.7142857142857143, 0.5714285714285714,
        0.42857142857142855, 0.2857142857142857, 0.14285714285714285}},
      {LrScheduler::kCosine, 0, 4, {1, 0.8535533905932737, 0.5, 0.14644660940672627}},
      {LrScheduler::kCosine,
       3,
       10,
       {0, 0.3333333333333333, 0.6666666666666666, 1, 0.9504844339512095, 0.8117449009293668, 0.6112604669781572,
        0.38873953302184283, 0.18825509907063326, 0.04951556604879048}},
  };
  for (const Case& c : cases) {
    for (std::int64_t step = 0; step < c.total; ++step) {
      EXPECT_DOUBLE_EQ(learning_rate_factor(c.scheduler, step, c.warmup, c.total),
                       c.expected[static_cast<std::size_t>(step)])
          << static_cast<int>(c.scheduler) << " at step " << step << " of " << c.total;
    }
  }
}

TEST(Schedule, DecayStaysAtZeroAfterTheLastStep) {
  for (const auto scheduler : {LrScheduler::kLinear, LrScheduler::kCosine}) {
    EXPECT_EQ(learning_rate_factor(scheduler, 10, 3, 10), 0.0);
    EXPECT_EQ(learning_rate_factor(scheduler, 14, 3, 10), 0.0);
  }
}

TEST(Schedule, WarmupRatioIsRoundedUpAsTransformersDoes) {
  EXPECT_EQ(count_warmup_steps(1000, 0, 0.03), 30);
  EXPECT_EQ(count_warmup_steps(100, 0, 0.07), 8);  // 100 * 0.07 is a little more than 7 in binary
  EXPECT_EQ(count_warmup_steps(10, 0, 0.05), 1);
  EXPECT_EQ(count_warmup_steps(30, 0, 0.1), 3);
  EXPECT_EQ(count_warmup_steps(50, 7, 0.5), 7);
  EXPECT_EQ(count_warmup_steps(50, 0, 0.0), 0);
}

}  // namespace
}  // namespace attune
