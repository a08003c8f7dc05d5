#include "track/event.h"

#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/error.h"

namespace attune {
namespace {

constexpr std::array<const char*, 4> kStatusNames = {"RUNNING", "FINISHED", "FAILED", "KILLED"};

Json pairs_to_json(const TextPairs& pairs) {
  Json object = Json::object();
  for (const auto& [key, value] : pairs) object[key] = value;
  return object;
}

const Json& object_at(const Json& json, const char* key, const std::string& where) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_object()) throw BadFile("[{}] \"{}\": expected an object", where, key);
  return *found;
}

TextPairs pairs_from(const Json& json, const char* key, const std::string& where) {
  TextPairs pairs;
  for (const auto& [name, value] : object_at(json, key, where).items()) {
    if (!value.is_string()) throw BadFile("[{}] \"{}\": expected texts", where, key);
    pairs.emplace_back(name, value.get<std::string>());
  }
  return pairs;
}

std::string text(const Json& json, const char* key, const std::string& where) {
  return json_require<std::string>(json, key, where);
}

std::int64_t number(const Json& json, const char* key, const std::string& where) {
  return json_require<std::int64_t>(json, key, where);
}

// A relative path that stays where it begins.
std::string inner_path(const Json& json, const char* key, const std::string& where) {
  std::string path = text(json, key, where);
  const std::filesystem::path parsed(path);
  bool inside = !path.empty() && parsed.is_relative() && path.find('\0') == std::string::npos;
  for (const auto& part : parsed) inside = inside && part != "..";
  if (!inside) throw BadFile("[{}] \"{}\": expected a path inside the run folder", where, key);
  return path;
}

Points points_from(const Json& json, const std::string& where) {
  Points points{number(json, "time", where), number(json, "step", where), {}};
  for (const auto& [key, value] : object_at(json, "values", where).items()) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
      throw BadFile("[{}] \"{}\": expected a finite number", where, key);
    }
    points.values.emplace_back(key, value.get<double>());
  }
  return points;
}

StatusChanged status_from(const Json& json, const std::string& where) {
  const std::string name = text(json, "status", where);
  for (std::size_t i = 0; i < kStatusNames.size(); ++i) {
    if (name == kStatusNames[i]) return {static_cast<RunStatus>(i), number(json, "time", where)};
  }
  throw BadFile("[{}] \"status\": expected RUNNING, FINISHED, FAILED or KILLED", where);
}

struct ToJson {
  Json operator()(const RunBegun& e) const {
    return {{"kind", "run"},
            {"time", e.time_ms},
            {"uid", e.uid},
            {"name", e.name},
            {"parent", e.parent},
            {"params", pairs_to_json(e.params)},
            {"tags", pairs_to_json(e.tags)}};
  }
  Json operator()(const RunResumed& e) const {
    return {{"kind", "resumed"}, {"time", e.time_ms}, {"params", pairs_to_json(e.params)}};
  }
  Json operator()(const DataUsed& e) const {
    return {{"kind", "data"},     {"name", e.name},      {"digest", e.digest}, {"source_type", e.source_type},
            {"source", e.source}, {"profile", e.profile}};
  }
  Json operator()(const Points& e) const {
    Json values = Json::object();
    for (const auto& [key, value] : e.values) values[key] = value;
    return {{"kind", "points"}, {"time", e.time_ms}, {"step", e.step}, {"values", std::move(values)}};
  }
  Json operator()(const Tags& e) const { return {{"kind", "tags"}, {"tags", pairs_to_json(e.tags)}}; }
  Json operator()(const Artifact& e) const { return {{"kind", "file"}, {"file", e.file}, {"path", e.path}}; }
  Json operator()(const ModelMade& e) const {
    return {{"kind", "model"}, {"folder", e.folder}, {"name", e.name},
            {"base", e.base},  {"time", e.time_ms},  {"step", e.step}};
  }
  Json operator()(const StatusChanged& e) const {
    return {{"kind", "status"}, {"status", name_of(e.status)}, {"time", e.time_ms}};
  }
};

}  // namespace

Json to_json(const Event& event) { return std::visit(ToJson{}, event); }

Event parse_event(const Json& json, const std::string& where) {
  if (!json.is_object()) throw BadFile("[{}] expected an object", where);
  const std::string kind = text(json, "kind", where);
  if (kind == "points") return points_from(json, where);
  if (kind == "run") {
    return RunBegun{number(json, "time", where), text(json, "uid", where),          text(json, "name", where),
                    text(json, "parent", where), pairs_from(json, "params", where), pairs_from(json, "tags", where)};
  }
  if (kind == "resumed") return RunResumed{number(json, "time", where), pairs_from(json, "params", where)};
  if (kind == "data") {
    return DataUsed{text(json, "name", where), text(json, "digest", where), text(json, "source_type", where),
                    text(json, "source", where), text(json, "profile", where)};
  }
  if (kind == "tags") return Tags{pairs_from(json, "tags", where)};
  if (kind == "file") return Artifact{inner_path(json, "file", where), inner_path(json, "path", where)};
  if (kind == "model") {
    return ModelMade{inner_path(json, "folder", where), inner_path(json, "name", where), text(json, "base", where),
                     number(json, "time", where), number(json, "step", where)};
  }
  if (kind == "status") return status_from(json, where);
  throw BadFile("[{}] \"kind\": {} is not one of ours", where, kind);
}

std::optional<Event> event_of(const SpoolRecord& record) {
  try {
    return parse_event(record.value, "spool");
  } catch (const BadFile&) {
    return std::nullopt;
  }
}

const char* name_of(RunStatus status) { return kStatusNames[static_cast<std::size_t>(status)]; }

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace attune
