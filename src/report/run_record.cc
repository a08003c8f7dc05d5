#include "report/run_record.h"

#include <cmath>

#include "base/error.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

void add(Curve& curve, const Json& line, double step, const char* key) {
  const auto value = line.find(key);
  if (value != line.end() && value->is_number()) curve.push_back({step, value->get<double>()});
}

void add_line(RunRecord& run, const Json& line, double& epochs) {
  const auto at = line.find("step");
  if (!line.is_object() || at == line.end() || !at->is_number()) return;
  const double step = at->get<double>();
  run.last_step = std::max(run.last_step, step);
  add(run.loss, line, step, "loss");
  add(run.eval_loss, line, step, "eval_loss");
  add(run.style_distance, line, step, "eval_style_distance");
  add(run.end_of_turn, line, step, "eval_end_of_turn");
  add(run.forgetting, line, step, "eval_forgetting");
  add(run.forgetting_kl, line, step, "eval_forgetting_kl");
  add(run.learning_rate, line, step, "learning_rate");
  add(run.gradient_norm, line, step, "grad_norm");
  add(run.tokens_per_second, line, step, "tokens_per_second");
  add(run.sol, line, step, "sol");
  const auto epoch = line.find("epoch");
  if (epoch == line.end() || !epoch->is_number()) return;
  const double done = std::floor(epoch->get<double>() + 1e-9);
  if (done > epochs) run.epoch_ends.push_back(step);
  epochs = std::max(epochs, done);
}

}  // namespace

RunRecord read_run_record(const fs::path& folder) {
  if (!fs::exists(folder / "recipe.yaml")) {
    throw UserError("[{}] is not a run: it has no recipe.yaml; name a folder that attune train made", folder.string());
  }
  RunRecord run;
  run.name = fs::canonical(folder).filename().string();
  run.recipe = read_file(folder / "recipe.yaml", kMostBytes);
  run.info = Json::object();
  for (const auto& [file, json] :
       {std::pair{"run.json", &run.info}, std::pair{"eval.json", &run.eval}, std::pair{"samples.json", &run.samples}}) {
    const fs::path path = folder / file;
    if (fs::exists(path)) *json = parse_json(read_file(path, kMostBytes), path.string());
  }
  if (!run.info.is_object()) throw BadFile("[{}] expected an object", (folder / "run.json").string());
  run.total_steps = json_get_or<double>(run.info, "total_steps", 0.0, (folder / "run.json").string());

  const std::string lines = fs::exists(folder / "metrics.jsonl") ? read_file(folder / "metrics.jsonl", kMostBytes) : "";
  double epochs = 0;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    const Json line = Json::parse(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                                  lines.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (line.is_object()) add_line(run, line, epochs);
    begin = end + 1;
  }
  return run;
}

}  // namespace attune
