#include "train/loss_guard.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attune {
namespace {

constexpr double kMemory = 0.98;          // about the last fifty steps
constexpr std::int64_t kLeastSteps = 20;  // before, the loss still falls steeply and says little
constexpr double kLeastDeviation = 0.1;   // of the mean: a very even run has spikes worth the name only

}  // namespace

void LossHistory::add(double loss) {
  // Plain averages at first, so that the first losses do not weigh more than others.
  const double keep = std::min(kMemory, static_cast<double>(steps) / static_cast<double>(steps + 1));
  const double difference = loss - mean;
  mean += (1 - keep) * difference;
  variance = keep * (variance + (1 - keep) * difference * difference);
  ++steps;
}

double LossHistory::most_believable(double deviations) const {
  if (deviations <= 0 || steps < kLeastSteps) return std::numeric_limits<double>::infinity();
  return mean + deviations * std::max(std::sqrt(variance), kLeastDeviation * mean);
}

}  // namespace attune
