// MLflow's SQLite database without a server: `track.mlflow: sqlite:///mlflow.db`.
//
// A new file gets the tables of MLflow 2.8 (schema revision 2d6e25af4d3e); `mlflow ui` brings them up to its own version
// when it first opens the file, with the runs in them. A file that MLflow 2.8 to 3.x has made is written as it is.
// Artifacts lie beside the file in mlartifacts/ unless MLflow has made the experiment with a folder of its own.
#pragma once

#include <optional>

#include "track/mlflow_store.h"
#include "track/sqlite.h"

namespace attune {

// The file of "sqlite:///relative.db" or "sqlite:////absolute.db"; nothing for another text.
std::optional<fs::path> sqlite_path(const std::string& uri);

class MlflowSqlite : public MlflowStore {
 public:
  explicit MlflowSqlite(fs::path file);

  std::string name() const override;
  MlflowRun open_run(const std::string& experiment, const RunBegun& run) override;
  void set_status(const MlflowRun& run, RunStatus status, std::int64_t time_ms) override;
  TextPairs params(const MlflowRun& run) override;
  std::vector<MlflowPoint> absent(const MlflowRun& run, std::span<const MlflowPoint> points) override;
  void log(const MlflowRun& run, std::span<const MlflowPoint> points, const TextPairs& params,
           const TextPairs& tags) override;
  void log_data(const MlflowRun& run, const DataUsed& data) override;
  void put_files(const MlflowRun& run, std::span<const MlflowFile> files) override;
  void log_model(const MlflowRun& run, const MlflowModel& model) override;

 private:
  Database& database();
  std::int64_t open_experiment(const std::string& name);
  void put_tag(const MlflowRun& run, const std::string& key, const std::string& value);
  void check_run(const MlflowRun& run);
  std::string artifact_location(const std::string& experiment_id);

  const fs::path file_;  // absolute
  std::optional<Database> database_;
};

}  // namespace attune
