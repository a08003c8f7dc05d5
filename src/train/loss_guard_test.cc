// What a run does when its loss misbehaves or stops getting better.
#include "train/loss_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attune {
namespace {

// Mean and variance of the same series by the definition: weights 0.98^age once there are fifty losses.
TEST(LossGuard, BelievesWhatItsNeighboursMakeLikely) {
  LossHistory history;
  EXPECT_EQ(history.most_believable(6), std::numeric_limits<double>::infinity());
  for (int i = 0; i < 200; ++i) history.add(2.0 + (i % 2 == 0 ? 0.5 : -0.5));
  EXPECT_NEAR(history.mean, 2.0, 0.02);
  EXPECT_NEAR(std::sqrt(history.variance), 0.5, 0.02);
  EXPECT_NEAR(history.most_believable(6), 5.0, 0.15);
  EXPECT_EQ(history.most_believable(0), std::numeric_limits<double>::infinity());
}

TEST(LossGuard, AnEvenRunIsNotHeldToItsEvenness) {
  LossHistory history;
  for (int i = 0; i < 19; ++i) history.add(1.0);
  EXPECT_EQ(history.most_believable(6), std::numeric_limits<double>::infinity());
  history.add(1.0);
  EXPECT_NEAR(history.most_believable(6), 1.6, 1e-12);
}

TEST(LossGuard, TheFirstLossesWeighAsOthersDo) {
  LossHistory history;
  for (const double loss : {4.0, 2.0, 3.0}) history.add(loss);
  EXPECT_NEAR(history.mean, 3.0, 1e-12);
  EXPECT_NEAR(history.variance, 2.0 / 3, 1e-12);
}

}  // namespace
}  // namespace attune
