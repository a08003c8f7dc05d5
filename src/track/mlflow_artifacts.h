// Where MLflow keeps the files of a run, and how they get there: the scheme of the artifact URI decides.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "track/mlflow_api.h"

namespace attune {

class MlflowArtifacts {
 public:
  virtual ~MlflowArtifacts() = default;
  // Puts the files below `uri` (a run's or a model's artifact URI). Repeating it does no harm. Throws NotNow, or
  // RefusedForGood for a place that is not reached through MLflow.
  virtual void put(const MlflowRun& run, const std::string& uri, std::span<const MlflowFile> files) = 0;
};

// mlflow-artifacts:/..., stored by the tracking server or another MLflow server.
std::unique_ptr<MlflowArtifacts> proxied_artifacts(MlflowApi& api);

// dbfs:/..., where Databricks gives a presigned URL of its cloud for each file.
std::unique_ptr<MlflowArtifacts> databricks_artifacts(MlflowApi& api);

// RefusedForGood when the file is gone.
std::uint64_t size_of(const MlflowFile& file);
RequestBody bytes_of(const MlflowFile& file, std::uint64_t offset, std::uint64_t length);

// The address of a proxied artifact; exposed for its test.
std::string artifact_url(const std::string& tracking_base, const std::string& artifact_uri, const std::string& path);

}  // namespace attune
