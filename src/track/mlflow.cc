#include "track/mlflow.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/digest.h"
#include "track/mlflow_limits.h"

namespace attune {

std::vector<MlflowFile> files_below(const fs::path& folder, const std::string& path) {
  std::vector<MlflowFile> files;
  std::error_code missing;
  if (fs::is_regular_file(folder, missing)) return {{folder, path, {}}};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, missing)) {
    if (!entry.is_regular_file(missing)) continue;
    const std::string inner = entry.path().lexically_relative(folder).generic_string();
    files.push_back({entry.path(), path.empty() ? inner : path + "/" + inner, {}});
  }
  std::sort(files.begin(), files.end(), [](const MlflowFile& a, const MlflowFile& b) { return a.path < b.path; });
  return files;
}

Mlflow::Mlflow(std::unique_ptr<MlflowStore> store, fs::path run_folder, std::string experiment)
    : store_(std::move(store)),
      folder_(std::move(run_folder)),
      state_file_(folder_ / "spool" / "mlflow.json"),
      experiment_(std::move(experiment)) {}

std::int64_t Mlflow::open() {
  if (!fs::exists(state_file_)) return 0;
  const std::string where = state_file_.string();
  const Json state = parse_json(read_file(state_file_), where);
  run_.experiment_id = json_get_or<std::string>(state, "experiment_id", "", where);
  run_.run_id = json_get_or<std::string>(state, "run_id", "", where);
  run_.artifact_uri = json_get_or<std::string>(state, "artifact_uri", "", where);
  acknowledged_ = json_require<std::int64_t>(state, "acknowledged", where);
  attempted_ = json_require<std::int64_t>(state, "attempted", where);
  return acknowledged_;
}

void Mlflow::save() const {
  const Json state = {{"experiment_id", run_.experiment_id},
                      {"run_id", run_.run_id},
                      {"artifact_uri", run_.artifact_uri},
                      {"acknowledged", acknowledged_},
                      {"attempted", attempted_}};
  write_file_atomic(state_file_, state.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Mlflow::attempt(std::int64_t sequence) {
  if (sequence <= attempted_) return;
  attempted_ = sequence;
  save();
}

void Mlflow::deliver(std::span<const SpoolRecord> records) {
  for (std::size_t i = 0; i < records.size();) {
    // Neighbouring points go together.
    std::vector<MlflowPoint> points;
    std::size_t next = i;
    for (; next < records.size(); ++next) {
      const auto event = event_of(records[next]);
      const auto* const numbers = event ? std::get_if<Points>(&*event) : nullptr;
      if (numbers == nullptr) break;
      if (points.size() + numbers->values.size() > kMlflowBatchMetrics && !points.empty()) break;
      for (const auto& [key, value] : numbers->values)
        points.push_back({mlflow_key(key), value, numbers->time_ms, numbers->step});
    }
    const bool again = uncertain(records[i].sequence);
    if (next > i) {
      attempt(records[next - 1].sequence);
      if (!run_.run_id.empty()) put_points(points, again);
      i = next;
    } else {
      attempt(records[i].sequence);
      if (const auto event = event_of(records[i])) tell(*event);
      ++i;
    }
    acknowledged_ = records[i - 1].sequence;
  }
  save();
}

void Mlflow::tell(const Event& event) {
  const auto* const begun = std::get_if<RunBegun>(&event);
  if (begun != nullptr) return begin(*begun);
  if (run_.run_id.empty()) return refused("a record without a run", "the record that begins the run is damaged");
  try {
    if (const auto* const e = std::get_if<RunResumed>(&event)) {
      add_params(e->params);
      store_->set_status(run_, RunStatus::kRunning, e->time_ms);
    } else if (const auto* const e = std::get_if<DataUsed>(&event)) {
      store_->log_data(run_, *e);
    } else if (const auto* const e = std::get_if<Tags>(&event)) {
      store_->log(run_, {}, {}, mlflow_pairs(e->tags, kMlflowTagBytes));
    } else if (const auto* const e = std::get_if<Artifact>(&event)) {
      put_artifact(*e);
    } else if (const auto* const e = std::get_if<ModelMade>(&event)) {
      put_model(*e);
    } else if (const auto* const e = std::get_if<StatusChanged>(&event)) {
      store_->set_status(run_, e->status, e->time_ms);
    }
  } catch (const RefusedForGood& error) {
    refused(to_json_line(to_json(event)), error.what());
  }
}

void Mlflow::begin(const RunBegun& begun) {
  run_ = store_->open_run(experiment_, begun);
  save();
  try {
    add_params(begun.params);
    store_->log(run_, {}, {}, mlflow_pairs(begun.tags, kMlflowTagBytes));
  } catch (const RefusedForGood& error) {
    refused("params and tags", error.what());
  }
}

// A param can be written once: those that are there stay, and a different value is told as a tag.
void Mlflow::add_params(const TextPairs& params) {
  const TextPairs there = store_->params(run_);
  TextPairs missing, differing;
  for (const auto& [key, value] : mlflow_pairs(params, kMlflowParamBytes)) {
    const auto found = std::find_if(there.begin(), there.end(), [&](const auto& param) { return param.first == key; });
    if (found == there.end()) missing.emplace_back(key, value);
    if (found != there.end() && found->second != value)
      differing.emplace_back(mlflow_key("attune.changed/" + key), value);
  }
  if (!differing.empty())
    notes_.push_back(
        fmt::format("{} params differ from those logged before; see the tags attune.changed/", differing.size()));
  if (!missing.empty() || !differing.empty()) store_->log(run_, {}, missing, differing);
}

void Mlflow::put_points(std::span<const MlflowPoint> points, bool again) {
  std::vector<MlflowPoint> absent(points.begin(), points.end());
  if (again) absent = store_->absent(run_, points);
  if (absent.empty()) return;
  try {
    store_->log(run_, absent, {}, {});
  } catch (const RefusedForGood&) {
    // One bad point must not cost the others; a part of the refused batch may have been written.
    for (const MlflowPoint& point : store_->absent(run_, absent)) {
      try {
        store_->log(run_, {&point, 1}, {}, {});
      } catch (const RefusedForGood& error) {
        refused(fmt::format("{} = {} at step {}", point.key, point.value, point.step), error.what());
      }
    }
  }
}

void Mlflow::put_artifact(const Artifact& artifact) {
  const auto files = files_below(folder_ / artifact.file, artifact.path);
  if (files.empty()) return refused(artifact.file, "the file is gone");
  store_->put_files(run_, files);
}

void Mlflow::put_model(const ModelMade& made) {
  MlflowModel model;
  model.name = made.name;
  model.base = made.base;
  model.uuid = sha256_hex(run_.run_id + "/" + made.name).substr(0, 32);
  model.time_ms = made.time_ms;
  model.step = made.step;
  model.files = files_below(folder_ / made.folder, "");
  if (model.files.empty()) return refused(made.folder, "the folder is gone");
  store_->log_model(run_, model);
}

void Mlflow::refused(const std::string& what, const std::string& why) {
  std::ofstream(folder_ / "spool" / "mlflow.refused", std::ios::app) << what << ": " << why << "\n";
  notes_.push_back(fmt::format("{}: {}", shortened(what, 200), why));
}

}  // namespace attune
