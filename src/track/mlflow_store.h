// What can be told to MLflow, wherever it keeps it: a server (track/mlflow_server.h), a folder ./mlruns
// (track/mlflow_folder.h) or an SQLite file (track/mlflow_sqlite.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "track/delivery.h"
#include "track/event.h"

namespace attune {

// This content will never be taken (MLflow's INVALID_PARAMETER_VALUE and its like): trying again is no use.
class RefusedForGood : public UserError {
 public:
  using UserError::UserError;
};

struct MlflowPoint {
  std::string key;
  double value = 0;  // finite
  std::int64_t time_ms = 0, step = 0;
};

// A run as MLflow knows it.
struct MlflowRun {
  std::string experiment_id, run_id, artifact_uri;
};

// A file to upload: where it is (or, without a place, what is in it) and what it is called below the run's or model's
// artifacts, with "/".
struct MlflowFile {
  fs::path local;
  std::string path;
  std::string text;
};

struct MlflowModel {
  std::string name, base, uuid;  // uuid: 32 hexadecimal digits, the same whenever it is told
  std::int64_t time_ms = 0, step = 0;
  std::vector<MlflowFile> files;  // relative to the model
};

// Keys and values are within MLflow's limits already (track/mlflow_limits.h). Every call throws NotNow (or what the HTTP
// client throws) when it may work later, RefusedForGood when it never will.
class MlflowStore {
 public:
  virtual ~MlflowStore() = default;
  virtual std::string name() const = 0;
  // The run whose tag "attune.uid" is run.uid in the experiment of that name; both are created when missing. Params and
  // tags are not logged here, but for the tags that make the run what it is (name, parent, uid).
  virtual MlflowRun open_run(const std::string& experiment, const RunBegun& run) = 0;
  virtual void set_status(const MlflowRun& run, RunStatus status, std::int64_t time_ms) = 0;
  virtual TextPairs params(const MlflowRun& run) = 0;  // those logged so far
  // Those of `points` that the run does not have yet.
  virtual std::vector<MlflowPoint> absent(const MlflowRun& run, std::span<const MlflowPoint> points) = 0;
  virtual void log(const MlflowRun& run, std::span<const MlflowPoint> points, const TextPairs& params,
                   const TextPairs& tags) = 0;
  virtual void log_data(const MlflowRun& run, const DataUsed& data) = 0;
  virtual void put_files(const MlflowRun& run, std::span<const MlflowFile> files) = 0;
  // The model, once, even when it is told twice.
  virtual void log_model(const MlflowRun& run, const MlflowModel& model) = 0;
};

}  // namespace attune
