// MLflow's limits (mlflow/utils/validation.py): what a key may be made of, how long values may be, how much fits into one
// call of runs/log-batch.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "track/mlflow_store.h"

namespace attune {

inline constexpr std::size_t kMlflowKeyBytes = 250, kMlflowParamBytes = 6000, kMlflowTagBytes = 5000;
inline constexpr std::size_t kMlflowBatchMetrics = 1000, kMlflowBatchPairs = 100, kMlflowBatchBytes = 900'000;

// `key` with "_" for what MLflow refuses, a normalized relative path, at most 250 bytes.
std::string mlflow_key(const std::string& key);

// At most `bytes` bytes, cut between characters; "..." marks a cut.
std::string shortened(const std::string& text, std::size_t bytes);

// Keys and values within the limits; of two pairs whose keys become the same, the first.
TextPairs mlflow_pairs(const TextPairs& pairs, std::size_t value_bytes);

// One body of runs/log-batch after the other, each within all limits.
struct MlflowBatch {
  std::vector<MlflowPoint> points;
  TextPairs params, tags;
};
std::vector<MlflowBatch> mlflow_batches(std::span<const MlflowPoint> points, const TextPairs& params,
                                        const TextPairs& tags);

}  // namespace attune
