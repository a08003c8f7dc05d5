// attune runs: what was trained, side by side.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/recipe_values.h"
#include "cli/train_display.h"
#include "track/run_store.h"
#include "track/sqlite.h"

namespace attune {
namespace {

struct RunsArguments {
  std::vector<std::string> runs;
  std::string folder = "runs";
  bool json = false;
};

using Row = std::vector<std::string>;

std::string number(const std::optional<double>& value, const char* format = "{:.3f}") {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

std::string bytes(const std::optional<std::int64_t>& value) {
  return value ? format_bytes(static_cast<double>(*value)) : "-";
}

std::string parameters(const std::optional<std::int64_t>& value) { return value ? with_commas(*value) : "-"; }

// Columns as wide as their widest cell; the first one left, the others right.
void print_table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    fmt::print("{}\n", line);
  }
}

// As the database has them, brought up to date; where it cannot be written, from the folders, which it only repeats.
std::vector<StoredRun> runs_in(const fs::path& folder) {
  try {
    return RunStore(folder).refresh_all();
  } catch (const SqliteError& error) {
    fmt::print(stderr, "note      {}; read from the folders\n", error.what());
  }
  std::vector<StoredRun> runs;
  for (const fs::path& run : run_folders(folder)) runs.push_back(read_run(run));
  return runs;
}

void list_runs(const RunsArguments& options) {
  if (!fs::is_directory(options.folder)) {
    throw UserError("[{}] no such folder; runs are made by `attune train`, or name another folder with --in",
                    options.folder);
  }
  const std::vector<StoredRun> runs = runs_in(options.folder);
  if (options.json) {
    Json all = Json::array();
    for (const StoredRun& run : runs) all.push_back(to_json(run));
    fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  if (runs.empty()) {
    fmt::print("{} holds no runs\n", options.folder);
    return;
  }
  std::vector<Row> rows = {
      {"run", "status", "started", "steps", "loss", "held-out", "trained", "memory", "tokens/s", "SOL", "time"}};
  for (const StoredRun& run : runs) {
    const std::string sol = run.sol ? fmt::format("{:.0f}%", 100 * *run.sol) : "-";
    rows.push_back({run.name, run.status, run.started, with_commas(run.steps), number(run.train_loss),
                    number(run.eval_loss_after), parameters(run.trained_parameters),
                    bytes(run.measured_peak_bytes ? run.measured_peak_bytes : run.planned_bytes),
                    number(run.tokens_per_second, "{:.0f}"), sol, run.seconds ? format_duration(*run.seconds) : "-"});
  }
  print_table(rows);
  for (const StoredRun& run : runs) {
    if (!run.problem.empty()) fmt::print("{}: {}\n", run.name, run.problem);
  }
}

// A run by its name in the folder, or by its path.
fs::path find_run(const RunsArguments& options, const std::string& name) {
  for (const fs::path& path : {fs::path(options.folder) / name, fs::path(name)}) {
    if (fs::exists(path / "recipe.yaml")) return path.has_filename() ? path : path.parent_path();
  }
  std::vector<std::string> names;
  for (const fs::path& path : run_folders(options.folder)) names.push_back(path.filename().string());
  throw UserError("[{}] is not a run in {}{}", name, options.folder, did_you_mean(name, names));
}

struct Side {
  StoredRun record;
  std::map<std::string, std::string> recipe;
};

std::vector<Row> differing_keys(const std::vector<Side>& sides) {
  std::map<std::string, Row> rows;
  for (const Side& side : sides) {
    for (const auto& [key, value] : side.recipe) rows[key];
  }
  std::vector<Row> differing;
  for (auto& [key, row] : rows) {
    row = {key};
    for (const Side& side : sides) row.push_back(side.recipe.contains(key) ? side.recipe.at(key) : "-");
    if (std::any_of(row.begin() + 2, row.end(), [&](const std::string& cell) { return cell != row[1]; }))
      differing.push_back(row);
  }
  return differing;
}

std::vector<Row> results(const std::vector<Side>& sides) {
  const auto row = [&](const char* name, const auto& text) {
    Row cells = {name};
    for (const Side& side : sides) cells.push_back(text(side.record));
    return cells;
  };
  return {
      row("status", [](const StoredRun& r) { return r.status; }),
      row("started", [](const StoredRun& r) { return r.started; }),
      row("steps", [](const StoredRun& r) { return with_commas(r.steps); }),
      row("loss", [](const StoredRun& r) { return number(r.train_loss, "{:.4f}"); }),
      row("held-out loss, before", [](const StoredRun& r) { return number(r.eval_loss_before, "{:.4f}"); }),
      row("held-out loss", [](const StoredRun& r) { return number(r.eval_loss_after, "{:.4f}"); }),
      row("trained parameters", [](const StoredRun& r) { return parameters(r.trained_parameters); }),
      row("memory, planned", [](const StoredRun& r) { return bytes(r.planned_bytes); }),
      row("memory, measured", [](const StoredRun& r) { return bytes(r.measured_peak_bytes); }),
      row("tokens/s", [](const StoredRun& r) { return number(r.tokens_per_second, "{:.0f}"); }),
      row("SOL", [](const StoredRun& r) { return r.sol ? fmt::format("{:.0f}%", 100 * *r.sol) : std::string("-"); }),
      row("time", [](const StoredRun& r) { return r.seconds ? format_duration(*r.seconds) : std::string("-"); }),
      row("data (SHA-256)", [](const StoredRun& r) { return r.data_digest.substr(0, 12); }),
  };
}

void compare_runs(const RunsArguments& options) {
  std::vector<Side> sides;
  for (const std::string& name : options.runs) {
    const fs::path folder = find_run(options, name);
    Side side{read_run(folder), {}};
    for (auto& [key, value] : recipe_values(read_file(folder / "recipe.yaml"), (folder / "recipe.yaml").string())) {
      if (key != "output") side.recipe[key] = value;
    }
    sides.push_back(std::move(side));
  }
  const std::vector<Row> recipe = differing_keys(sides);
  if (options.json) {
    Json json = {{"runs", Json::array()}, {"differing", Json::object()}};
    for (const Side& side : sides) json["runs"].push_back(to_json(side.record));
    for (const Row& row : recipe) json["differing"][row[0]] = std::vector<std::string>(row.begin() + 1, row.end());
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  Row heads = {""};
  for (const Side& side : sides) heads.push_back(side.record.name);
  std::vector<Row> rows = {heads};
  rows.insert(rows.end(), recipe.begin(), recipe.end());
  if (!recipe.empty()) rows.push_back({""});
  const std::vector<Row> outcome = results(sides);
  rows.insert(rows.end(), outcome.begin(), outcome.end());
  print_table(rows);
  for (const Side& side : sides) {
    if (!side.record.problem.empty()) fmt::print("{}: {}\n", side.record.name, side.record.problem);
  }
}

}  // namespace

void add_runs_command(CLI::App& app) {
  const auto options = std::make_shared<RunsArguments>();
  CLI::App* const command = app.add_subcommand("runs", "List and compare runs: loss, parameters, memory, time, status");
  command->add_option("RUN", options->runs, "Runs to show side by side, with the keys in which their recipes differ");
  command->add_option("--in", options->folder, "The folder of the runs")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Example: attune runs pete-r8 pete-r16\n"
      "The same is in runs/runs.sqlite, for SQL: sqlite3 runs/runs.sqlite \"SELECT name, eval_loss_after FROM runs\"");
  command->callback([options] { options->runs.empty() ? list_runs(*options) : compare_runs(*options); });
}

}  // namespace attune
