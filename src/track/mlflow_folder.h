// MLflow's file store, ./mlruns, without a server (mlflow/store/tracking/file_store.py): what is written here opens in
// `mlflow ui --backend-store-uri ./mlruns` (MLflow 3.7 and later ask for MLFLOW_ALLOW_FILE_STORE=true).
//
//   EXPERIMENT/meta.yaml                       EXPERIMENT/datasets/ID/meta.yaml
//   EXPERIMENT/RUN/meta.yaml                   EXPERIMENT/RUN/inputs/ID/meta.yaml, outputs/MODEL/meta.yaml
//   EXPERIMENT/RUN/metrics/KEY  "time value step" a line      EXPERIMENT/RUN/params/KEY, tags/KEY, artifacts/
//   EXPERIMENT/models/MODEL/meta.yaml, tags/, params/, artifacts/
#pragma once

#include "track/mlflow_store.h"

namespace attune {

class MlflowFolder : public MlflowStore {
 public:
  explicit MlflowFolder(fs::path root);

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
  std::string open_experiment(const std::string& name);
  fs::path folder_of(const MlflowRun& run) const;

  fs::path root_;  // absolute
};

// A file's bytes, or its text, at `target`; folders are made.
void store_file(const MlflowFile& file, const fs::path& target);

// "file:///..." of an absolute path.
std::string file_uri(const fs::path& path);

// The folder of a "file:" URI or an absolute path; nothing for another place.
std::optional<fs::path> local_folder(const std::string& uri);

}  // namespace attune
