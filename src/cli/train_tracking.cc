#include "cli/train_tracking.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/recipe_values.h"
#include "cli/train_display.h"
#include "report/report.h"
#include "track/run_index.h"
#include "track/run_lock.h"
#include "train/run_folder.h"

namespace attune {
namespace {

// After which delivery is left to `attune sync`.
constexpr Patience kAtEnd{15, 3}, kWhenStopped{3, 1};
constexpr std::size_t kMostNotes = 5;

TextPairs tags_of() {
  TextPairs tags = {
      {"mlflow.source.name", "attune train"}, {"mlflow.source.type", "LOCAL"}, {"attune.version", ATTUNE_VERSION}};
  if (const char* const user = std::getenv("USER"); user != nullptr && *user != '\0')
    tags.emplace_back("mlflow.user", user);
  return tags;
}

DataUsed data_of(const Recipe& recipe, const FinetuneStart& start) {
  Json paths = Json::array();
  for (const std::string& path : recipe.data) paths.push_back(fs::absolute(path).lexically_normal().string());
  const Json profile = {{"train_conversations", start.train_conversations},
                        {"valid_conversations", start.valid_conversations},
                        {"train_tokens", start.train_tokens},
                        {"trained_tokens", start.trained_tokens},
                        {"sha256", start.data_digest}};
  const fs::path first = fs::path(recipe.data.empty() ? "data" : recipe.data.front()).lexically_normal();
  const std::string name = first.has_filename() ? first.filename().string() : first.parent_path().filename().string();
  const Json source = {{"uri", paths.size() == 1 ? paths[0] : Json(to_json_line(paths))}};
  return {name.empty() ? "data" : name, start.data_digest.substr(0, 32), "local", to_json_line(source),
          to_json_line(profile)};
}

// RUN/report.html, to go with the run. Without it when there is no room: the result is there already.
void write_report(const fs::path& run) {
  try {
    write_file_atomic(run / "report.html", html_report(read_run_record(run)));
  } catch (const UserError& error) {
    fmt::print(stderr, "report    {}\n", error.what());
  }
}

}  // namespace

TrackOptions track_options(const Recipe& recipe) {
  const TrackRecipe& track = recipe.track;
  TrackOptions options{track.mlflow, track.tensorboard, track.experiment, track.run_name, track.parent_run};
  if (options.tensorboard == "True") options.tensorboard = "true";
  if (options.tensorboard == "False") options.tensorboard = "false";
  return options;
}

struct TrainTracking::State {
  Recipe recipe;
  TrackOptions options;
  fs::path folder;
  std::optional<FileLock> lock;
  std::optional<RunIndex> index;
  std::optional<Tracker> tracker;

  // The run folder is there now.
  void start(const FinetuneStart& start) {
    if (!lock) lock = lock_run(folder);
    index.emplace(folder);
    if (!options.any()) return;
    tracker.emplace(options, folder);
    tracker->begin(recipe_values(to_yaml(recipe), "recipe"), tags_of(), data_of(recipe, start));
  }
};

TrainTracking::TrainTracking(const Recipe& recipe, bool resume) : state_(std::make_unique<State>()) {
  state_->recipe = recipe;
  state_->options = track_options(recipe);
  state_->folder = run_folder_of(recipe);
  check_tracking(state_->options);
  if (resume) state_->lock = lock_run(state_->folder);
}

TrainTracking::~TrainTracking() = default;

void TrainTracking::connect(FinetuneCallbacks& callbacks) {
  State& state = *state_;
  callbacks.on_start = [&state, next = callbacks.on_start](const FinetuneStart& start) {
    state.start(start);
    if (next) next(start);
  };
  callbacks.loop.on_metrics = [&state, next = callbacks.loop.on_metrics](const Json& line) {
    if (next) next(line);
    if (state.tracker) state.tracker->line(line);
    state.index->note();
  };
  callbacks.loop.on_step = [&state, next = callbacks.loop.on_step](const StepReport& report, double sol) {
    if (next) next(report, sol);
    if (!state.tracker) return;
    if (!std::isfinite(report.loss))
      state.tracker->not_finite(report.step, "loss");
    else if (!std::isfinite(report.gradient_norm))
      state.tracker->not_finite(report.step, "grad_norm");
  };
}

void TrainTracking::finish(const FinetuneResult& result) {
  if (auto& tracker = state_->tracker) {
    write_report(state_->folder);
    for (const char* file : {"recipe.yaml", "run.json", "metrics.jsonl", "report.html"}) {
      if (fs::exists(state_->folder / file)) tracker->artifact(file, file);
    }
    const std::string folder = result.output.filename().string();
    tracker->model(folder, folder, state_->recipe.model, result.summary.steps);
    tracker->status(RunStatus::kFinished);
    print_track_report(tracker->finish(kAtEnd, interrupt_requested), state_->folder);
    tracker.reset();
  }
  state_->index.reset();
}

void TrainTracking::stop(RunStatus status) {
  if (auto& tracker = state_->tracker) {
    tracker->status(status);
    print_track_report(tracker->finish(kWhenStopped, {}), state_->folder);
    tracker.reset();
  }
  state_->index.reset();
}

void print_track_report(const TrackReport& report, const fs::path& run_folder) {
  for (const DeliveryState& state : report) {
    if (state.waiting() <= 0) {
      fmt::print("track     {}: all {} records have arrived\n", state.destination, with_commas(state.last));
    } else {
      fmt::print("track     {}: {} of {} records wait in {}; deliver them with: attune sync {}\n", state.destination,
                 with_commas(state.waiting()), with_commas(state.last), (run_folder / "spool").string(),
                 run_folder.string());
      if (!state.problem.empty()) fmt::print("          {}\n", state.problem);
    }
    for (std::size_t i = 0; i < state.notes.size() && i < kMostNotes; ++i) fmt::print("          {}\n", state.notes[i]);
  }
  std::fflush(stdout);
}

}  // namespace attune
