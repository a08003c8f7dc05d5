#include "track/mlflow_sqlite.h"

#include "base/digest.h"
#include "track/mlflow_folder.h"
#include "track/mlflow_limits.h"
#include "track/mlflow_messages.h"
#include "track/mlflow_schema.h"

namespace attune {
namespace {

std::int64_t number_of(const MlflowRun& run) { return std::stoll("0" + run.experiment_id); }

fs::path require_local(const std::string& uri) {
  if (const auto folder = local_folder(uri)) return *folder;
  throw RefusedForGood(
      "[{}] the experiment keeps its artifacts there, which only a server or a client with credentials "
      "reaches; choose another track.experiment",
      uri);
}

}  // namespace

std::optional<fs::path> sqlite_path(const std::string& uri) {
  constexpr std::string_view kPrefix = "sqlite:///";
  if (!uri.starts_with(kPrefix) || uri.size() == kPrefix.size()) return std::nullopt;
  return fs::path(uri.substr(kPrefix.size()));
}

MlflowSqlite::MlflowSqlite(fs::path file) : file_(fs::absolute(file).lexically_normal()) {}

std::string MlflowSqlite::name() const { return "MLflow in " + file_.string(); }

Database& MlflowSqlite::database() {
  if (database_) return *database_;
  create_folder(file_.parent_path());
  database_.emplace(file_);
  {
    Transaction transaction(*database_);
    if (!database_->has_table("runs")) database_->execute(kMlflowSchema);
    transaction.commit();
  }
  if (!database_->has_table("inputs")) {
    database_.reset();
    throw NotNow("[{}] was made by an MLflow before 2.4; bring it up to date with: mlflow db upgrade sqlite:///{}",
                 file_.string(), file_.string());
  }
  return *database_;
}

std::int64_t MlflowSqlite::open_experiment(const std::string& name) {
  Database& db = database();
  Statement find(db, "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?");
  if (find.bind(name).step()) {
    const std::int64_t id = find.integer(0);
    if (find.text(1) == "deleted")
      Statement(db, "UPDATE experiments SET lifecycle_stage = 'active' WHERE experiment_id = ?").bind(id).run();
    return id;
  }
  const std::int64_t now = now_ms();
  Statement(
      db, "INSERT INTO experiments (name, lifecycle_stage, creation_time, last_update_time) VALUES (?, 'active', ?, ?)")
      .bind(name)
      .bind(now)
      .bind(now)
      .run();
  const std::int64_t id = db.last_row_id();
  Statement(db, "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?")
      .bind(file_uri(file_.parent_path() / "mlartifacts" / std::to_string(id)))
      .bind(id)
      .run();
  return id;
}

std::string MlflowSqlite::artifact_location(const std::string& experiment_id) {
  Statement find(database(), "SELECT artifact_location FROM experiments WHERE experiment_id = ?");
  find.bind(static_cast<std::int64_t>(std::stoll(experiment_id)));
  return find.step() ? find.text(0) : std::string();
}

MlflowRun MlflowSqlite::open_run(const std::string& experiment, const RunBegun& begun) {
  Database& db = database();
  Transaction transaction(db);
  MlflowRun run;
  run.experiment_id = std::to_string(open_experiment(experiment));
  run.run_id = begun.uid;
  run.artifact_uri = artifact_location(run.experiment_id) + "/" + run.run_id + "/artifacts";
  Statement(db,
            "INSERT OR IGNORE INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
            "start_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, ?, 'LOCAL', 'attune', '', 'attune', 'RUNNING', ?, '', 'active', ?, ?)")
      .bind(run.run_id)
      .bind(shortened(begun.name, kMlflowKeyBytes))
      .bind(begun.time_ms)
      .bind(run.artifact_uri)
      .bind(number_of(run))
      .run();
  for (const Json& tag : run_tags(begun)) put_tag(run, tag["key"].get<std::string>(), tag["value"].get<std::string>());
  transaction.commit();
  return run;
}

void MlflowSqlite::put_tag(const MlflowRun& run, const std::string& key, const std::string& value) {
  Statement(database(), "INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)")
      .bind(key)
      .bind(value)
      .bind(run.run_id)
      .run();
}

void MlflowSqlite::check_run(const MlflowRun& run) {
  Statement find(database(), "SELECT 1 FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'");
  if (!find.bind(run.run_id).step())
    throw NotNow("[{}] run {} was deleted there; restore it", file_.string(), run.run_id);
}

void MlflowSqlite::set_status(const MlflowRun& run, RunStatus status, std::int64_t time_ms) {
  check_run(run);
  std::optional<std::int64_t> end;
  if (status != RunStatus::kRunning) end = time_ms;
  Statement(database(), "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?")
      .bind(std::string_view(name_of(status)))
      .bind(end)
      .bind(run.run_id)
      .run();
}

TextPairs MlflowSqlite::params(const MlflowRun& run) {
  TextPairs params;
  Statement find(database(), "SELECT key, value FROM params WHERE run_uuid = ?");
  find.bind(run.run_id);
  while (find.step()) params.emplace_back(find.text(0), find.text(1));
  return params;
}

std::vector<MlflowPoint> MlflowSqlite::absent(const MlflowRun& run, std::span<const MlflowPoint> points) {
  std::vector<MlflowPoint> absent;
  for (const MlflowPoint& point : points) {
    Statement find(database(), "SELECT 1 FROM metrics WHERE run_uuid = ? AND key = ? AND timestamp = ? AND step = ?");
    if (!find.bind(run.run_id).bind(point.key).bind(point.time_ms).bind(point.step).step()) absent.push_back(point);
  }
  return absent;
}

void MlflowSqlite::log(const MlflowRun& run, std::span<const MlflowPoint> points, const TextPairs& params,
                       const TextPairs& tags) {
  check_run(run);
  Database& db = database();
  Transaction transaction(db);
  Statement put_param(db, "INSERT OR IGNORE INTO params (key, value, run_uuid) VALUES (?, ?, ?)");
  for (const auto& [key, value] : params) put_param.bind(key).bind(value).bind(run.run_id).run();
  for (const auto& [key, value] : tags) put_tag(run, key, value);
  Statement put(
      db, "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)");
  // MLflow's rule for the latest: the largest step, then time, then value.
  Statement latest(
      db,
      "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?) "
      "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, "
      "step = excluded.step, is_nan = 0 WHERE (excluded.step, excluded.timestamp, excluded.value) > "
      "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)");
  for (const MlflowPoint& point : points) {
    put.bind(point.key).bind(point.value).bind(point.time_ms).bind(run.run_id).bind(point.step).run();
    latest.bind(point.key).bind(point.value).bind(point.time_ms).bind(point.step).bind(run.run_id).run();
  }
  transaction.commit();
}

void MlflowSqlite::log_data(const MlflowRun& run, const DataUsed& data) {
  const Json dataset = data_body(run, data)["datasets"][0]["dataset"];
  const auto text = [&](const char* key) { return dataset[key].get<std::string>(); };
  Database& db = database();
  Transaction transaction(db);
  const std::string fresh = sha256_hex(run.experiment_id + "/" + data.name + "/" + data.digest).substr(0, 32);
  Statement(
      db,
      "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, "
      "dataset_profile) VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(fresh)
      .bind(number_of(run))
      .bind(text("name"))
      .bind(text("digest"))
      .bind(text("source_type"))
      .bind(text("source"))
      .bind(text("profile"))
      .run();
  Statement find(db, "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?");
  if (!find.bind(number_of(run)).bind(text("name")).bind(text("digest")).step()) return;
  const std::string id = find.text(0), input = sha256_hex(id + run.run_id).substr(0, 32);
  Statement(db,
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id) "
            "VALUES (?, 'DATASET', ?, 'RUN', ?)")
      .bind(input)
      .bind(id)
      .bind(run.run_id)
      .run();
  Statement(db,
            "INSERT OR IGNORE INTO input_tags (input_uuid, name, value) VALUES (?, 'mlflow.data.context', 'training')")
      .bind(input)
      .run();
  transaction.commit();
}

void MlflowSqlite::put_files(const MlflowRun& run, std::span<const MlflowFile> files) {
  const fs::path folder = require_local(run.artifact_uri);
  for (const MlflowFile& file : files) store_file(file, folder / file.path);
}

void MlflowSqlite::log_model(const MlflowRun& run, const MlflowModel& model) {
  Database& db = database();
  const bool entities = db.has_table("logged_models");  // since MLflow 3.0
  const std::string id = "m-" + model.uuid;
  const std::string uri = entities ? artifact_location(run.experiment_id) + "/models/" + id + "/artifacts"
                                   : run.artifact_uri + "/" + model.name;
  const fs::path folder = require_local(uri);
  for (const MlflowFile& file : model.files) store_file(file, folder / file.path);
  store_file({{}, "MLmodel", mlmodel_text(run, model, entities ? id : "")}, folder / "MLmodel");
  Transaction transaction(db);
  if (entities) {
    Statement(
        db,
        "INSERT OR IGNORE INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "
        "last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) "
        "VALUES (?, ?, ?, ?, ?, ?, 2, 'active', 'adapter', ?)")
        .bind(id)
        .bind(number_of(run))
        .bind(model.name)
        .bind(uri)
        .bind(model.time_ms)
        .bind(model.time_ms)
        .bind(run.run_id)
        .run();
    Statement(
        db,
        "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) "
        "VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, ?)")
        .bind(sha256_hex(id + run.run_id).substr(0, 32))
        .bind(run.run_id)
        .bind(id)
        .bind(model.step)
        .run();
  } else {
    put_tag(run, "mlflow.log-model.history", to_json_line(Json::array({classic_model_json(run, model)})));
  }
  transaction.commit();
}

}  // namespace attune
