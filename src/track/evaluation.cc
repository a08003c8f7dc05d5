#include "track/evaluation.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "track/event.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

void add_numbers(std::vector<std::pair<std::string, double>>& metrics, const std::string& name, const Json& part) {
  for (const auto& [key, value] : part.items()) {
    const std::string inner = name + "/" + key;
    if (value.is_object()) add_numbers(metrics, inner, value);
    if (value.is_boolean()) metrics.emplace_back(inner, value.get<bool>() ? 1 : 0);
    if (value.is_number() && std::isfinite(value.get<double>())) metrics.emplace_back(inner, value.get<double>());
  }
}

}  // namespace

std::vector<std::pair<std::string, double>> evaluation_metrics(const Json& evaluation, const std::string& where) {
  if (!evaluation.is_object()) throw BadFile("[{}] expected an object", where);
  std::vector<std::pair<std::string, double>> metrics;
  for (const auto& [key, part] : evaluation.items()) {
    if (part.is_object()) add_numbers(metrics, "eval/" + key, part);
  }
  return metrics;
}

void tell_evaluation(const fs::path& run_folder, std::int64_t step) {
  const fs::path journal = run_folder / "spool" / "journal", file = run_folder / "eval.json";
  if (!fs::exists(journal) || !fs::exists(file)) return;
  Points points{now_ms(), step, {}};
  points.values = evaluation_metrics(parse_json(read_file(file, kMostBytes), file.string()), file.string());
  std::map<std::string, double> told;
  SpoolReader reader(journal);
  while (const auto record = reader.next()) {
    const auto event = event_of(*record);
    const auto* const earlier = event ? std::get_if<Points>(&*event) : nullptr;
    if (earlier == nullptr) continue;
    for (const auto& [key, value] : earlier->values) told[key] = value;
  }
  std::erase_if(points.values, [&](const auto& point) {
    const auto last = told.find(point.first);
    return last != told.end() && last->second == point.second;
  });
  if (!points.values.empty()) SpoolWriter(journal).append(to_json(Event(points)));
}

}  // namespace attune
