// MLflow behind a server: the REST API of `mlflow server` (2.x and 3.x) and of Databricks.
#pragma once

#include <memory>
#include <string>

#include "track/mlflow_api.h"
#include "track/mlflow_artifacts.h"
#include "track/mlflow_store.h"

namespace attune {

class MlflowServer : public MlflowStore {
 public:
  // An MLflow server at `url`, with what the environment says we may use.
  static std::unique_ptr<MlflowServer> at(const std::string& url, const DeliveryControl& control);
  // The Databricks workspace of the environment.
  static std::unique_ptr<MlflowServer> on_databricks(const DeliveryControl& control);

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
  MlflowServer(std::unique_ptr<MlflowApi> api, bool databricks);
  std::string open_experiment(const std::string& name);
  std::string create_experiment(const std::string& name);
  bool log_model_entity(const MlflowRun& run, const MlflowModel& model);
  void log_classic_model(const MlflowRun& run, const MlflowModel& model);
  void put_model_files(const MlflowRun& run, const MlflowModel& model, const std::string& uri, const std::string& below,
                       const std::string& model_id);

  std::unique_ptr<MlflowApi> api_;
  std::unique_ptr<MlflowArtifacts> artifacts_;
  const bool databricks_;
};

}  // namespace attune
