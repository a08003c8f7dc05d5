// One run as its folder tells it (run.json, metrics.jsonl, lock): what `attune runs` shows and runs.sqlite holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace attune {

struct MetricValue {
  std::int64_t step = 0;
  std::string key;
  double value = 0;
};

struct StoredRun {
  std::string name;     // of the folder
  std::string status;   // running, killed, stopped, finished; unknown when run.json cannot be read
  std::string started;  // "2026-08-23 14:05", local time
  std::string model, data, data_digest;
  std::int64_t steps = 0;  // the last one in metrics.jsonl
  std::optional<std::int64_t> trained_parameters, all_parameters, planned_bytes, measured_peak_bytes;
  std::optional<double> seconds, tokens_per_second, sol;
  std::optional<double> train_loss;                         // the last one
  std::optional<double> eval_loss_before, eval_loss_after;  // held out; the first and the last one while it runs
  std::string problem;                                      // why something of it could not be read; empty: nothing
};

// Folders below `runs` that are runs (they have a recipe.yaml), by name.
std::vector<fs::path> run_folders(const fs::path& runs);

// Never throws for what is in the folder: see `problem`. "running" without a process that holds the lock is "killed".
StoredRun read_run(const fs::path& folder);

// The numbers of one line of metrics.jsonl; empty for a line that is not one.
std::vector<MetricValue> metric_values(std::string_view line);

Json to_json(const StoredRun& run);

}  // namespace attune
