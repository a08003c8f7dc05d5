#include "track/mlflow_folder.h"

#include <fcntl.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "base/digest.h"
#include "http/url.h"
#include "track/mlflow.h"
#include "track/mlflow_messages.h"
#include "track/run_lock.h"

namespace attune {
namespace {

// Values of meta.yaml as YAML; JSON's strings, numbers and null are YAML's.
using Meta = std::map<std::string, Json>;

void write_meta(const fs::path& folder, const Meta& meta) {
  std::string yaml;
  for (const auto& [key, value] : meta) yaml += fmt::format("{}: {}\n", key, to_json_line(value));
  create_folder(folder);
  write_file_atomic(folder / "meta.yaml", yaml);
}

// The texts of a meta.yaml by key; empty when it cannot be read.
std::map<std::string, std::string> read_meta(const fs::path& folder) {
  std::map<std::string, std::string> texts;
  try {
    const YAML::Node node = YAML::Load(read_file(folder / "meta.yaml", std::uint64_t{1} << 20));
    if (!node.IsMap()) return texts;
    for (const auto& entry : node) {
      if (entry.second.IsScalar()) texts[entry.first.as<std::string>()] = entry.second.as<std::string>();
    }
  } catch (const YAML::Exception&) {
    texts.clear();
  } catch (const UserError&) {
    texts.clear();
  }
  return texts;
}

std::int64_t status_number(RunStatus status) {
  switch (status) {
    case RunStatus::kRunning:
      return 1;
    case RunStatus::kFinished:
      return 3;
    case RunStatus::kFailed:
      return 4;
    case RunStatus::kKilled:
      return 5;
  }
  return 1;
}

void write_text(const fs::path& path, const std::string& text) {
  create_folder(path.parent_path());
  write_file_atomic(path, text);
}

void append_durably(const fs::path& path, const std::string& text) {
  create_folder(path.parent_path());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  std::string_view left = text;
  bool good = fd >= 0;
  while (good && !left.empty()) {
    const ssize_t put = ::write(fd, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    good = put > 0;
    if (good) left.remove_prefix(static_cast<std::size_t>(put));
  }
  good = good && ::fdatasync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!good) throw NotNow("[{}] cannot be written: {}", path.string(), std::strerror(error));
}

// (time, step) of every whole line. A line torn by a crash is cut off, so that the next one does not continue it.
std::set<std::pair<std::int64_t, std::int64_t>> points_in(const fs::path& path) {
  std::set<std::pair<std::int64_t, std::int64_t>> points;
  if (!fs::exists(path)) return points;
  const std::string text = read_file(path);
  const std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  if (whole < text.size()) fs::resize_file(path, whole);
  std::istringstream lines(text.substr(0, whole));
  std::int64_t time = 0, step = 0;
  std::string value;
  while (lines >> time >> value >> step) points.emplace(time, step);
  return points;
}

// 18 digits that no other experiment has.
std::string new_experiment_id(const std::string& name) {
  const std::string digest = sha256_hex(fmt::format("{}/{}/{}", name, now_ms(), ::getpid()));
  return std::to_string(100'000'000'000'000'000u +
                        std::stoull(digest.substr(0, 15), nullptr, 16) % 900'000'000'000'000'000u);
}

void write_experiment(const fs::path& root, const std::string& id, const std::string& name) {
  const std::int64_t now = now_ms();
  write_meta(root / id, {{"artifact_location", file_uri(root / id)},
                         {"creation_time", now},
                         {"experiment_id", id},
                         {"last_update_time", now},
                         {"lifecycle_stage", "active"},
                         {"name", name}});
}

}  // namespace

std::optional<fs::path> local_folder(const std::string& uri) {
  if (uri.starts_with("/")) return fs::path(uri);
  if (!uri.starts_with("file:///")) return std::nullopt;
  std::string path;
  for (std::size_t i = 7; i < uri.size(); ++i) {
    if (uri[i] == '%' && i + 2 < uri.size()) {
      path += static_cast<char>(std::strtol(uri.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      path += uri[i];
    }
  }
  return fs::path(path);
}

std::string file_uri(const fs::path& path) { return "file://" + percent_encode(path.string(), "/"); }

void store_file(const MlflowFile& file, const fs::path& target) {
  create_folder(target.parent_path());
  if (file.local.empty()) return write_file_atomic(target, file.text);
  const MappedFile source(file.local);
  AtomicFile copy(target);
  copy.write(source.bytes());
  copy.commit();
}

MlflowFolder::MlflowFolder(fs::path root) : root_(fs::absolute(root).lexically_normal()) {
  if (root_.filename().empty()) root_ = root_.parent_path();
}

std::string MlflowFolder::name() const { return "MLflow in " + root_.string(); }

fs::path MlflowFolder::folder_of(const MlflowRun& run) const { return root_ / run.experiment_id / run.run_id; }

std::string MlflowFolder::open_experiment(const std::string& name) {
  create_folder(root_);
  // Two processes must not make the same experiment.
  std::optional<FileLock> lock;
  if (!(lock = FileLock::try_lock(root_ / ".attune.lock")))
    throw NotNow("[{}] another process is creating a run", root_.string());
  if (!fs::exists(root_ / "0" / "meta.yaml")) write_experiment(root_, "0", "Default");
  for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
    const std::string id = entry.path().filename().string();
    if (id.starts_with(".") || !entry.is_directory()) continue;
    const auto meta = read_meta(entry.path());
    if (const auto found = meta.find("name"); found != meta.end() && found->second == name) return id;
  }
  const std::string id = new_experiment_id(name);
  write_experiment(root_, id, name);
  return id;
}

MlflowRun MlflowFolder::open_run(const std::string& experiment, const RunBegun& begun) {
  MlflowRun run;
  run.experiment_id = open_experiment(experiment);
  run.run_id = begun.uid;
  const fs::path folder = folder_of(run);
  run.artifact_uri = file_uri(folder / "artifacts");
  if (fs::exists(folder / "meta.yaml")) return run;
  for (const char* inner : {"metrics", "params", "artifacts"}) create_folder(folder / inner);
  for (const Json& tag : run_tags(begun))
    write_text(folder / "tags" / tag["key"].get<std::string>(), tag["value"].get<std::string>());
  write_meta(folder, {{"artifact_uri", run.artifact_uri},
                      {"end_time", nullptr},
                      {"entry_point_name", ""},
                      {"experiment_id", run.experiment_id},
                      {"lifecycle_stage", "active"},
                      {"run_id", run.run_id},
                      {"run_name", begun.name},
                      {"source_name", ""},
                      {"source_type", 4},
                      {"source_version", ""},
                      {"start_time", begun.time_ms},
                      {"status", status_number(RunStatus::kRunning)},
                      {"tags", Json::array()},
                      {"user_id", "attune"},
                      {"deleted_time", nullptr}});
  return run;
}

void MlflowFolder::set_status(const MlflowRun& run, RunStatus status, std::int64_t time_ms) {
  const fs::path folder = folder_of(run);
  auto texts = read_meta(folder);
  if (!texts.contains("start_time")) throw NotNow("[{}] the run's meta.yaml is gone or damaged", folder.string());
  Meta meta;
  for (const auto& [key, text] : texts) meta[key] = text;
  for (const char* number : {"start_time", "source_type"}) meta[number] = std::stoll("0" + texts[number]);
  meta["status"] = status_number(status);
  meta["end_time"] = status == RunStatus::kRunning ? Json(nullptr) : Json(time_ms);
  meta["deleted_time"] = nullptr;
  meta["tags"] = Json::array();
  write_meta(folder, meta);
}

TextPairs MlflowFolder::params(const MlflowRun& run) {
  TextPairs params;
  for (const MlflowFile& file : files_below(folder_of(run) / "params", ""))
    params.emplace_back(file.path, read_file(file.local));
  return params;
}

std::vector<MlflowPoint> MlflowFolder::absent(const MlflowRun& run, std::span<const MlflowPoint> points) {
  std::map<std::string, std::set<std::pair<std::int64_t, std::int64_t>>> there;
  std::vector<MlflowPoint> absent;
  for (const MlflowPoint& point : points) {
    const auto [known, is_new] = there.try_emplace(point.key);
    if (is_new) known->second = points_in(folder_of(run) / "metrics" / point.key);
    if (!known->second.contains({point.time_ms, point.step})) absent.push_back(point);
  }
  return absent;
}

void MlflowFolder::log(const MlflowRun& run, std::span<const MlflowPoint> points, const TextPairs& params,
                       const TextPairs& tags) {
  const fs::path folder = folder_of(run);
  if (!fs::exists(folder / "meta.yaml")) throw NotNow("[{}] the run is gone", folder.string());
  for (const auto& [key, value] : params) write_text(folder / "params" / key, value);
  for (const auto& [key, value] : tags) write_text(folder / "tags" / key, value);
  std::map<std::string, std::string> lines;
  for (const MlflowPoint& point : points)
    lines[point.key] += fmt::format("{} {} {}\n", point.time_ms, point.value, point.step);
  for (const auto& [key, text] : lines) append_durably(folder / "metrics" / key, text);
}

void MlflowFolder::log_data(const MlflowRun& run, const DataUsed& data) {
  const Json dataset = data_body(run, data)["datasets"][0]["dataset"];
  const std::string id = sha256_hex(data.name + "/" + data.digest).substr(0, 32);
  Meta meta = {{"schema", nullptr}};
  for (const auto& [key, value] : dataset.items()) meta[key] = value;
  write_meta(root_ / run.experiment_id / "datasets" / id, meta);
  write_meta(folder_of(run) / "inputs" / sha256_hex(id + run.run_id).substr(0, 32),
             {{"source_type", "DATASET"},
              {"source_id", id},
              {"destination_type", "RUN"},
              {"destination_id", id},
              {"tags", {{"mlflow.data.context", "training"}}}});
}

void MlflowFolder::put_files(const MlflowRun& run, std::span<const MlflowFile> files) {
  for (const MlflowFile& file : files) store_file(file, folder_of(run) / "artifacts" / file.path);
}

void MlflowFolder::log_model(const MlflowRun& run, const MlflowModel& model) {
  const std::string id = "m-" + model.uuid;
  const fs::path folder = root_ / run.experiment_id / "models" / id;
  for (const MlflowFile& file : model.files) store_file(file, folder / "artifacts" / file.path);
  store_file({{}, "MLmodel", mlmodel_text(run, model, id)}, folder / "artifacts" / "MLmodel");
  write_text(folder / "params" / "base_model", model.base);
  create_folder(folder / "metrics");
  create_folder(folder / "tags");
  write_meta(folder, {{"artifact_location", file_uri(folder / "artifacts")},
                      {"creation_timestamp", model.time_ms},
                      {"experiment_id", run.experiment_id},
                      {"last_updated_timestamp", model.time_ms},
                      {"lifecycle_stage", "active"},
                      {"model_id", id},
                      {"model_type", "adapter"},
                      {"name", model.name},
                      {"source_run_id", run.run_id},
                      {"status", 2},
                      {"status_message", nullptr}});
  write_meta(folder_of(run) / "outputs" / id, {{"source_type", "RUN_OUTPUT"},
                                               {"source_id", id},
                                               {"destination_type", "MODEL_OUTPUT"},
                                               {"destination_id", id},
                                               {"tags", Json::object()},
                                               {"step", model.step}});
}

}  // namespace attune
