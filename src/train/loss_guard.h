// Which losses a run believes. One broken row or one step too far gives a loss far above its neighbours, and its gradient
// would undo hours: such a step is skipped, as Chowdhery et al. ("PaLM", 2022) skip the batches around a spike.
#pragma once

#include <cstdint>

namespace attune {

// Exponential mean and variance of the losses of the steps taken, part of a checkpoint: a resumed run judges as the
// uninterrupted one would.
struct LossHistory {
  std::int64_t steps = 0;
  double mean = 0, variance = 0;

  void add(double loss);
  // The largest loss that is not a spike: `deviations` standard deviations above the mean, of which one counts for a
  // tenth of the mean at least. Infinite while there are too few steps to tell, or for 0 deviations.
  double most_believable(double deviations) const;
};

}  // namespace attune
