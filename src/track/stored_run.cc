#include "track/stored_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "track/run_lock.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostInfoBytes = std::uint64_t{16} << 20;

std::string local_time(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {};
  std::tm broken{};
  ::localtime_r(&info.st_mtim.tv_sec, &broken);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &broken)};
}

// object at `key`, or an empty one.
Json group(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

std::string joined(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string text;
  if (!value.is_array()) return text;
  for (const Json& item : value) {
    if (item.is_string()) text += (text.empty() ? "" : ", ") + item.get<std::string>();
  }
  return text;
}

void read_info(const Json& info, const std::string& where, StoredRun& run) {
  run.status = json_get_or<std::string>(info, "status", "unknown", where);
  run.model = json_get_or<std::string>(info, "model", "", where);
  run.data = info.contains("data") ? joined(info["data"]) : "";
  run.data_digest = json_get_or<std::string>(info, "data_sha256", "", where);
  const Json parameters = group(info, "parameters");
  run.trained_parameters = json_get<std::int64_t>(parameters, "trained", where);
  run.all_parameters = json_get<std::int64_t>(parameters, "all", where);
  run.planned_bytes = json_get<std::int64_t>(group(info, "planned_bytes"), "total", where);
  run.measured_peak_bytes = json_get<std::int64_t>(info, "measured_peak_bytes", where);
  run.seconds = json_get<double>(info, "seconds", where);
  run.tokens_per_second = json_get<double>(info, "tokens_per_second", where);
  run.sol = json_get<double>(info, "sol", where);
  const Json eval = group(info, "eval_loss");
  run.eval_loss_before = json_get<double>(eval, "before", where);
  run.eval_loss_after = json_get<double>(eval, "after", where);
}

// What the lines say, of a run that has no result yet (or was resumed: its result knows the last process only).
void read_metrics(const std::string& text, StoredRun& run) {
  std::optional<double> first_eval, last_eval, speed, sol;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    for (const MetricValue& metric : metric_values(std::string_view(text).substr(begin, end - begin))) {
      run.steps = std::max(run.steps, metric.step);
      if (metric.key == "loss") run.train_loss = metric.value;
      if (metric.key == "tokens_per_second") speed = metric.value;
      if (metric.key == "sol") sol = metric.value;
      if (metric.key != "eval_loss") continue;
      if (!first_eval) first_eval = metric.value;
      last_eval = metric.value;
    }
    begin = end + 1;
  }
  if (first_eval) run.eval_loss_before = first_eval;
  if (last_eval) run.eval_loss_after = last_eval;
  if (!run.tokens_per_second) run.tokens_per_second = speed;
  if (!run.sol) run.sol = sol;
}

}  // namespace

std::vector<fs::path> run_folders(const fs::path& runs) {
  std::vector<fs::path> folders;
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(runs, missing)) {
    if (entry.path().filename().string().starts_with(".")) continue;  // being written, or hidden
    if (fs::exists(entry.path() / "recipe.yaml", missing)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

StoredRun read_run(const fs::path& folder) {
  StoredRun run;
  run.name = folder.filename().string();
  run.status = "unknown";
  run.started = local_time(folder / "recipe.yaml");
  const fs::path info = folder / "run.json", metrics = folder / "metrics.jsonl";
  try {
    if (fs::exists(info)) {
      const Json json = parse_json(read_file(info, kMostInfoBytes), info.string());
      if (!json.is_object()) throw BadFile("[{}] expected an object", info.string());
      read_info(json, info.string(), run);
    }
    if (fs::exists(metrics)) read_metrics(read_file(metrics), run);
    const bool alive = training_process(folder).has_value();
    if (run.status == "running" && !alive) run.status = "killed";
    if (run.status != "finished" && alive) run.status = "running";  // loading, or going on after a stop
  } catch (const UserError& error) {
    run.problem = error.what();
  }
  return run;
}

std::vector<MetricValue> metric_values(std::string_view line) {
  std::vector<MetricValue> values;
  try {
    const Json json = parse_json(line, "metrics.jsonl");
    if (!json.is_object()) return values;
    const auto step = json_get<std::int64_t>(json, "step", "metrics.jsonl");
    if (!step) return values;
    for (const auto& [key, value] : json.items()) {
      if (key != "step" && value.is_number()) values.push_back({*step, key, value.get<double>()});
    }
  } catch (const BadFile&) {
    values.clear();  // torn by a crash, or being written
  }
  return values;
}

Json to_json(const StoredRun& run) {
  const auto number = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"name", run.name},
          {"status", run.status},
          {"started", run.started},
          {"model", run.model},
          {"data", run.data},
          {"data_sha256", run.data_digest},
          {"steps", run.steps},
          {"train_loss", number(run.train_loss)},
          {"eval_loss_before", number(run.eval_loss_before)},
          {"eval_loss_after", number(run.eval_loss_after)},
          {"trained_parameters", number(run.trained_parameters)},
          {"all_parameters", number(run.all_parameters)},
          {"planned_bytes", number(run.planned_bytes)},
          {"measured_peak_bytes", number(run.measured_peak_bytes)},
          {"seconds", number(run.seconds)},
          {"tokens_per_second", number(run.tokens_per_second)},
          {"sol", number(run.sol)},
          {"problem", run.problem.empty() ? Json(nullptr) : Json(run.problem)}};
}

}  // namespace attune
