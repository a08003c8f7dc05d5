// MLflow's JSON, as values: what we send to and what we read from its REST API (mlflow/protos/service.proto). Whole
// numbers come as numbers or as texts, and numbers that are not finite as texts. Everything here that reads throws
// BadFile for what is not as the protocol says.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "track/mlflow_limits.h"
#include "track/mlflow_store.h"

namespace attune {

// {"error_code", "message"} of an answer that is no success; "" for what it does not say.
struct MlflowFault {
  std::string code, message;  // the message is one line, cut short
};
MlflowFault read_mlflow_fault(const std::string& body);

struct MlflowExperiment {
  std::string id;
  bool deleted = false;
};
MlflowExperiment read_experiment(const Json& json);  // of experiments/get-by-name
std::string read_experiment_id(const Json& json);    // of experiments/create

struct MlflowRunData {
  MlflowRun run;
  bool deleted = false;
  TextPairs params;
};
MlflowRunData read_run(const Json& json);                       // of runs/get and runs/create
std::optional<MlflowRunData> read_first_run(const Json& json);  // of runs/search

struct MlflowHistory {
  std::vector<std::pair<std::int64_t, std::int64_t>> points;  // time, step
  std::string next_page;                                      // empty: that was all
};
MlflowHistory read_history(const Json& json);  // of metrics/get-history

struct MlflowModelInfo {
  std::string model_id, artifact_uri;
  bool ready = false;
};
MlflowModelInfo read_model(const Json& json);                       // of logged-models (POST)
std::optional<MlflowModelInfo> read_first_model(const Json& json);  // of logged-models/search

// Where one file may be put: a presigned URL of a cloud's storage.
struct UploadCredential {
  enum class Kind : std::uint8_t { kPut, kAzureBlob, kAzureLake };
  Kind kind = Kind::kPut;
  std::string path, url;
  TextPairs headers;
};
struct UploadCredentials {
  std::vector<UploadCredential> files;
  std::string next_page;
};
UploadCredentials read_upload_credentials(const Json& json);  // of artifacts/credentials-for-write

Json run_tags(const RunBegun& run);  // [{"key", "value"}]: what makes the run what it is
Json batch_body(const MlflowRun& run, const MlflowBatch& batch);
Json data_body(const MlflowRun& run, const DataUsed& data);

// The file MLmodel (YAML) and the text that runs/log-model wants (JSON), both without the files.
std::string mlmodel_text(const MlflowRun& run, const MlflowModel& model, const std::string& model_id);
Json classic_model_json(const MlflowRun& run, const MlflowModel& model);

}  // namespace attune
