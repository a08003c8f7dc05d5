#include "track/mlflow_server.h"

#include <map>
#include <set>

#include "http/url.h"
#include "track/databricks_auth.h"
#include "track/mlflow_limits.h"
#include "track/mlflow_messages.h"

namespace attune {
namespace {

constexpr const char* kHistoryPage = "20000";  // points of one key in one answer

// runs/search and its like take the texts of a filter in single quotes; ours are hexadecimal digits.
std::string filter(const std::string& key, const std::string& value) { return key + " = '" + value + "'"; }

}  // namespace

std::unique_ptr<MlflowServer> MlflowServer::at(const std::string& url, const DeliveryControl& control) {
  auto api = std::make_unique<MlflowApi>(url, mlflow_authorization(), control);
  return std::unique_ptr<MlflowServer>(new MlflowServer(std::move(api), false));
}

std::unique_ptr<MlflowServer> MlflowServer::on_databricks(const DeliveryControl& control) {
  const std::string host = databricks_host();
  auto api = std::make_unique<MlflowApi>(host, databricks_authorization(host), control);
  return std::unique_ptr<MlflowServer>(new MlflowServer(std::move(api), true));
}

MlflowServer::MlflowServer(std::unique_ptr<MlflowApi> api, bool databricks)
    : api_(std::move(api)),
      artifacts_(databricks ? databricks_artifacts(*api_) : proxied_artifacts(*api_)),
      databricks_(databricks) {}

std::string MlflowServer::name() const {
  return fmt::format("{} at {}", databricks_ ? "Databricks" : "MLflow", shown_url(api_->base()));
}

std::string MlflowServer::open_experiment(const std::string& name) {
  try {
    const MlflowExperiment experiment =
        read_experiment(api_->get("experiments/get-by-name", {{"experiment_name", name}}));
    if (experiment.deleted) api_->post("experiments/restore", {{"experiment_id", experiment.id}});
    return experiment.id;
  } catch (const MlflowMissing& missing) {
    if (missing.unknown_call()) throw;
  }
  try {
    return create_experiment(name);
  } catch (const MlflowRefused& refused) {
    // Another process was faster.
    if (refused.code() != "RESOURCE_ALREADY_EXISTS" && refused.code() != "ALREADY_EXISTS") throw NotNow(refused.what());
  }
  return read_experiment(api_->get("experiments/get-by-name", {{"experiment_name", name}})).id;
}

std::string MlflowServer::create_experiment(const std::string& name) {
  const Json body = {{"name", name}};
  try {
    return read_experiment_id(api_->post("experiments/create", body));
  } catch (const MlflowMissing&) {
    // Databricks makes an experiment only where its folder is.
    const std::size_t slash = name.rfind('/');
    if (!databricks_ || slash == std::string::npos || slash == 0) throw;
    api_->upload("POST", api_->base() + "/api/2.0/workspace/mkdirs", to_json_line({{"path", name.substr(0, slash)}}),
                 {{"Content-Type", "application/json"}}, true);
  }
  return read_experiment_id(api_->post("experiments/create", body));
}

MlflowRun MlflowServer::open_run(const std::string& experiment, const RunBegun& begun) {
  const std::string id = open_experiment(experiment);
  try {
    const Json search = {
        {"experiment_ids", Json::array({id})}, {"filter", filter("tags.`attune.uid`", begun.uid)}, {"max_results", 1}};
    if (const auto found = read_first_run(api_->post("runs/search", search))) return found->run;
    const Json body = {
        {"experiment_id", id}, {"run_name", begun.name}, {"start_time", begun.time_ms}, {"tags", run_tags(begun)}};
    MlflowRun run = read_run(api_->post("runs/create", body)).run;
    run.experiment_id = id;
    return run;
  } catch (const MlflowRefused& refused) {
    throw NotNow(refused.what());  // without its run nothing can be told: better wait for someone to look
  }
}

void MlflowServer::set_status(const MlflowRun& run, RunStatus status, std::int64_t time_ms) {
  Json body = {{"run_id", run.run_id}, {"run_uuid", run.run_id}, {"status", name_of(status)}};
  if (status != RunStatus::kRunning) body["end_time"] = time_ms;
  api_->post("runs/update", body);
}

TextPairs MlflowServer::params(const MlflowRun& run) {
  const MlflowRunData data = read_run(api_->get("runs/get", {{"run_id", run.run_id}}));
  if (data.deleted) throw NotNow("[{}] run {} was deleted there; restore it", api_->base(), run.run_id);
  return data.params;
}

std::vector<MlflowPoint> MlflowServer::absent(const MlflowRun& run, std::span<const MlflowPoint> points) {
  std::map<std::string, std::set<std::pair<std::int64_t, std::int64_t>>> there;
  for (const MlflowPoint& point : points) there[point.key];
  for (auto& [key, known] : there) {
    std::string page;
    do {
      std::vector<std::pair<std::string, std::string>> query = {
          {"run_id", run.run_id}, {"run_uuid", run.run_id}, {"metric_key", key}, {"max_results", kHistoryPage}};
      if (!page.empty()) query.emplace_back("page_token", page);
      const MlflowHistory history = read_history(api_->get("metrics/get-history", query));
      known.insert(history.points.begin(), history.points.end());
      page = history.next_page;
    } while (!page.empty());
  }
  std::vector<MlflowPoint> absent;
  for (const MlflowPoint& point : points) {
    if (!there[point.key].contains({point.time_ms, point.step})) absent.push_back(point);
  }
  return absent;
}

void MlflowServer::log(const MlflowRun& run, std::span<const MlflowPoint> points, const TextPairs& params,
                       const TextPairs& tags) {
  for (const MlflowBatch& batch : mlflow_batches(points, params, tags))
    api_->post("runs/log-batch", batch_body(run, batch));
}

void MlflowServer::log_data(const MlflowRun& run, const DataUsed& data) {
  try {
    api_->post("runs/log-inputs", data_body(run, data));
  } catch (const MlflowMissing& missing) {
    if (missing.unknown_call()) throw RefusedForGood(missing.what());  // a server older than 2.4
    throw;
  }
}

void MlflowServer::put_files(const MlflowRun& run, std::span<const MlflowFile> files) {
  artifacts_->put(run, run.artifact_uri, files);
}

void MlflowServer::log_model(const MlflowRun& run, const MlflowModel& model) {
  // Databricks stores the files of a model entity through other calls: the classic form is listed there as well.
  if (databricks_ || !log_model_entity(run, model)) log_classic_model(run, model);
}

// MLflow 3: a model of its own, made by the run. False when the server does not know such a thing.
bool MlflowServer::log_model_entity(const MlflowRun& run, const MlflowModel& model) {
  MlflowModelInfo info;
  bool begun_before = false;
  try {
    const Json search = {{"experiment_ids", Json::array({run.experiment_id})},
                         {"filter", filter("tags.`attune.model`", model.uuid)},
                         {"max_results", 1}};
    if (const auto found = read_first_model(api_->post("logged-models/search", search))) {
      info = *found;
      begun_before = true;
    } else {
      const Json tags = Json::array({{{"key", "attune.model"}, {"value", model.uuid}}});
      const Json params = Json::array({{{"key", "base_model"}, {"value", shortened(model.base, 500)}}});
      info = read_model(api_->post("logged-models", {{"experiment_id", run.experiment_id},
                                                     {"name", model.name},
                                                     {"model_type", "adapter"},
                                                     {"source_run_id", run.run_id},
                                                     {"params", params},
                                                     {"tags", tags}}));
    }
  } catch (const MlflowMissing& missing) {
    if (missing.unknown_call()) return false;
    throw;
  }
  if (info.ready) return true;  // said last of all
  put_model_files(run, model, info.artifact_uri, "", info.model_id);
  try {
    const Json output = {{"model_id", info.model_id}, {"step", model.step}};
    api_->post("runs/outputs", {{"run_id", run.run_id}, {"models", Json::array({output})}});
  } catch (const MlflowRefused&) {
    if (!begun_before) throw;  // else it was said before: a second time is refused
  }
  api_->patch("logged-models/" + percent_encode(info.model_id),
              {{"model_id", info.model_id}, {"status", "LOGGED_MODEL_READY"}});
  return true;
}

void MlflowServer::log_classic_model(const MlflowRun& run, const MlflowModel& model) {
  put_model_files(run, model, run.artifact_uri, model.name + "/", "");
  api_->post("runs/log-model", {{"run_id", run.run_id}, {"model_json", to_json_line(classic_model_json(run, model))}});
}

// The files of the model, and last the MLmodel that describes them.
void MlflowServer::put_model_files(const MlflowRun& run, const MlflowModel& model, const std::string& uri,
                                   const std::string& below, const std::string& model_id) {
  std::vector<MlflowFile> files = model.files;
  for (MlflowFile& file : files) file.path = below + file.path;
  files.push_back({{}, below + "MLmodel", mlmodel_text(run, model, model_id)});
  artifacts_->put(run, uri, files);
}

}  // namespace attune
