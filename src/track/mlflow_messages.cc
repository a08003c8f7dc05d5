#include "track/mlflow_messages.h"

#include <charconv>
#include <ctime>

#include "base/error.h"

namespace attune {
namespace {

constexpr const char* kWhere = "MLflow server";
constexpr std::size_t kShownBytes = 300;

const Json& at(const Json& json, const char* key) {
  if (json.is_object()) {
    const auto found = json.find(key);
    if (found != json.end()) return *found;
  }
  throw BadFile("[{}] expected \"{}\" in its answer", kWhere, key);
}

std::string text(const Json& json, const char* key) { return json_require<std::string>(json, key, kWhere); }

std::string text_or_empty(const Json& json, const char* key) { return json_get_or<std::string>(json, key, "", kWhere); }

std::int64_t whole_number(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_string()) {
    const auto& digits = value.get_ref<const std::string&>();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size()) return number;
  }
  throw BadFile("[{}] \"{}\": expected a whole number in its answer", kWhere, key);
}

// The list at `key`; an absent one is empty, as protocol buffers leave it out.
const Json& list(const Json& json, const char* key) {
  static const Json empty = Json::array();
  if (!json.is_object()) throw BadFile("[{}] expected an object in its answer", kWhere);
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return empty;
  if (!found->is_array()) throw BadFile("[{}] \"{}\": expected a list in its answer", kWhere, key);
  return *found;
}

MlflowRunData run_of(const Json& run) {
  const Json& info = at(run, "info");
  MlflowRunData data;
  data.run.run_id = info.contains("run_id") ? text(info, "run_id") : text(info, "run_uuid");
  data.run.experiment_id = text_or_empty(info, "experiment_id");
  data.run.artifact_uri = text_or_empty(info, "artifact_uri");
  data.deleted = text_or_empty(info, "lifecycle_stage") == "deleted";
  if (run.contains("data")) {
    for (const Json& param : list(run["data"], "params"))
      data.params.emplace_back(text(param, "key"), text_or_empty(param, "value"));
  }
  return data;
}

MlflowModelInfo model_of(const Json& model) {
  const Json& info = at(model, "info");
  // The status is a name, or its number in other versions (LOGGED_MODEL_READY is 2).
  const bool ready = info.contains("status") &&
                     (info["status"] == "LOGGED_MODEL_READY" || info["status"] == "READY" || info["status"] == 2);
  return {text(info, "model_id"), text_or_empty(info, "artifact_uri"), ready};
}

UploadCredential::Kind kind_of(const std::string& type) {
  if (type == "AZURE_SAS_URI") return UploadCredential::Kind::kAzureBlob;
  if (type == "AZURE_ADLS_GEN2_SAS_URI") return UploadCredential::Kind::kAzureLake;
  if (type == "AWS_PRESIGNED_URL" || type == "GCP_SIGNED_URL") return UploadCredential::Kind::kPut;
  throw BadFile("[{}] \"type\": {} is no storage that we can write to", kWhere, shortened(type, 40));
}

Json pairs(const TextPairs& texts) {
  Json array = Json::array();
  for (const auto& [key, value] : texts) array.push_back({{"key", key}, {"value", value}});
  return array;
}

// 2026-08-23 14:05:07.250000, as MLflow writes it.
std::string utc_time(std::int64_t time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm broken{};
  ::gmtime_r(&seconds, &broken);
  char day[32];
  const std::size_t length = std::strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &broken);
  return fmt::format("{}.{:03}000", std::string_view(day, length), time_ms % 1000);
}

Json flavors(const MlflowModel& model) {
  return {{"attune", {{"attune_version", ATTUNE_VERSION}, {"base_model", model.base}, {"format", "PEFT LoRA folder"}}}};
}

}  // namespace

MlflowFault read_mlflow_fault(const std::string& body) {
  MlflowFault fault;
  try {
    const Json json = parse_json(body, kWhere);
    if (!json.is_object()) return fault;
    if (const auto code = json.find("error_code"); code != json.end()) {
      fault.code = code->is_string() ? code->get<std::string>() : to_json_line(*code);
    }
    if (const auto message = json.find("message"); message != json.end() && message->is_string()) {
      fault.message = message->get<std::string>();
    }
  } catch (const BadFile&) {
    return fault;  // a proxy's page
  }
  for (char& c : fault.message) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  fault.message = shortened(fault.message, kShownBytes);
  fault.code = shortened(fault.code, 100);
  return fault;
}

MlflowExperiment read_experiment(const Json& json) {
  const Json& experiment = at(json, "experiment");
  return {text(experiment, "experiment_id"), text_or_empty(experiment, "lifecycle_stage") == "deleted"};
}

std::string read_experiment_id(const Json& json) { return text(json, "experiment_id"); }

MlflowRunData read_run(const Json& json) { return run_of(at(json, "run")); }

std::optional<MlflowRunData> read_first_run(const Json& json) {
  const Json& runs = list(json, "runs");
  if (runs.empty()) return std::nullopt;
  return run_of(runs.front());
}

MlflowHistory read_history(const Json& json) {
  MlflowHistory history;
  for (const Json& metric : list(json, "metrics")) {
    const std::int64_t step = metric.is_object() && metric.contains("step") ? whole_number(metric, "step") : 0;
    history.points.emplace_back(whole_number(metric, "timestamp"), step);
  }
  history.next_page = text_or_empty(json, "next_page_token");
  return history;
}

MlflowModelInfo read_model(const Json& json) { return model_of(at(json, "model")); }

std::optional<MlflowModelInfo> read_first_model(const Json& json) {
  const Json& models = list(json, "models");
  if (models.empty()) return std::nullopt;
  return model_of(models.front());
}

UploadCredentials read_upload_credentials(const Json& json) {
  UploadCredentials credentials;
  for (const Json& info : list(json, "credential_infos")) {
    UploadCredential file;
    file.kind = kind_of(text(info, "type"));
    file.path = text(info, "path");
    file.url = text(info, "signed_uri");
    for (const Json& header : list(info, "headers"))
      file.headers.emplace_back(text(header, "name"), text(header, "value"));
    credentials.files.push_back(std::move(file));
  }
  credentials.next_page = text_or_empty(json, "next_page_token");
  return credentials;
}

Json run_tags(const RunBegun& run) {
  TextPairs tags = {{"mlflow.runName", run.name}, {"attune.uid", run.uid}};
  if (!run.parent.empty()) tags.emplace_back("mlflow.parentRunId", run.parent);
  return pairs(tags);
}

Json batch_body(const MlflowRun& run, const MlflowBatch& batch) {
  Json metrics = Json::array();
  for (const MlflowPoint& point : batch.points) {
    metrics.push_back({{"key", point.key}, {"value", point.value}, {"timestamp", point.time_ms}, {"step", point.step}});
  }
  return {{"run_id", run.run_id},
          {"metrics", std::move(metrics)},
          {"params", pairs(batch.params)},
          {"tags", pairs(batch.tags)}};
}

Json data_body(const MlflowRun& run, const DataUsed& data) {
  const Json dataset = {{"name", shortened(data.name, 500)},
                        {"digest", data.digest.substr(0, 36)},
                        {"source_type", data.source_type},
                        {"source", shortened(data.source, 65535)},
                        {"profile", data.profile}};
  Json context = Json::array({{{"key", "mlflow.data.context"}, {"value", "training"}}});
  return {{"run_id", run.run_id}, {"datasets", Json::array({{{"tags", std::move(context)}, {"dataset", dataset}}})}};
}

std::string mlmodel_text(const MlflowRun& run, const MlflowModel& model, const std::string& model_id) {
  // JSON strings are YAML strings.
  const auto quoted = [](const std::string& value) { return to_json_line(value); };
  std::string yaml = fmt::format("artifact_path: {}\nflavors:\n", quoted(model.name));
  const Json all = flavors(model);
  for (const auto& [flavor, fields] : all.items()) {
    yaml += fmt::format("  {}:\n", flavor);
    for (const auto& [key, value] : fields.items()) yaml += fmt::format("    {}: {}\n", key, to_json_line(value));
  }
  if (!model_id.empty()) yaml += fmt::format("model_id: {}\n", quoted(model_id));
  return yaml + fmt::format("model_uuid: {}\nrun_id: {}\nutc_time_created: '{}'\n", quoted(model.uuid),
                            quoted(run.run_id), utc_time(model.time_ms));
}

Json classic_model_json(const MlflowRun& run, const MlflowModel& model) {
  return {{"artifact_path", model.name},
          {"flavors", flavors(model)},
          {"model_uuid", model.uuid},
          {"run_id", run.run_id},
          {"utc_time_created", utc_time(model.time_ms)}};
}

}  // namespace attune
