// attune train: a recipe becomes an adapter.
#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/train_display.h"
#include "cli/train_hub.h"
#include "cli/train_monitor.h"
#include "cli/train_tracking.h"
#include "cli/watch.h"
#include "hub/pull.h"
#include "report/live.h"
#include "train/finetune.h"
#include "train/run_folder.h"

namespace attune {
namespace {

struct TrainArguments {
  std::string recipe, resume, watch;
  std::vector<std::string> overrides;
  bool help_recipe = false, open = false, no_cache = false, auto_resume = false;
};

void run_train(const TrainArguments& options) {
  if (options.help_recipe) {
    fmt::print("{}", recipe_reference());
    return;
  }
  if (!options.watch.empty()) {
    watch_run(options.watch);
    return;
  }
  bool resume = !options.resume.empty();
  if (resume == !options.recipe.empty()) {
    throw UserError("[train] expected a recipe or --resume RUN, one of them; e.g. attune train recipe.yaml");
  }
  if (resume && !options.overrides.empty()) {
    throw UserError("[--set] a resumed run keeps its recipe; start a new run to change it");
  }
  Recipe recipe = resume ? open_run_folder(options.resume) : load_recipe(options.recipe, options.overrides);
  if (resume) recipe.output = options.resume;  // the folder may have been moved
  recipe.model = resolve_model(recipe.model).string();
  if (options.no_cache) recipe.token_cache = "none";
  if (options.auto_resume && !resume) {
    resume = run_exists(recipe);
    if (const fs::path result = result_of(recipe); resume && fs::exists(result)) {
      fmt::print("finished  {}\n", result.string());
      return;
    }
  }
  watch_interrupts();
  watch_save_requests();
  const auto hub = TrainHub::from(recipe);
  TrainTracking tracking(recipe, resume);
  TrainDisplay display;
  fmt::print("run       {}\n", recipe.output);
  std::optional<LiveReport> live;
  if (options.open) {
    live.emplace(recipe.output);
    fmt::print("watch     {}\n", live->url());
    std::fflush(stdout);
    open_in_browser(live->url());
  }
  FinetuneCallbacks callbacks = display.finetune_callbacks();
  callbacks.measure = [monitor = monitor_options(recipe)](const FinetuneState& state) {
    return measure_underway(monitor, state);
  };
  tracking.connect(callbacks);
  if (hub) hub->connect(callbacks, [&display](const std::string& line) { display.note(line); });
  FinetuneResult result;
  try {
    result = finetune(recipe, resume, callbacks);
  } catch (const UserError& error) {
    display.end();
    tracking.stop(dynamic_cast<const Interrupted*>(&error) != nullptr ? RunStatus::kKilled : RunStatus::kFailed);
    if (hub) hub->stop();
    throw;
  }
  display.end();
  print_summary(result);
  tracking.finish(result);
  if (hub) hub->finish(result);
  if (recipe.finetune == Finetune::kLora) {
    fmt::print("next      attune chat {} --adapter {}\n", recipe.model, result.output.string());
  } else {
    fmt::print("next      attune chat {}\n", result.output.string());
  }
}

}  // namespace

void add_train_command(CLI::App& app) {
  const auto options = std::make_shared<TrainArguments>();
  CLI::App* const command = app.add_subcommand("train", "Train: a recipe becomes an adapter (or a model)");
  command->add_option("recipe", options->recipe, "YAML file; `model` and `data` alone make a good run");
  command->add_option("--set", options->overrides, "Override a key, e.g. --set train.learning_rate=1e-4")->take_all();
  command->add_option("--resume", options->resume, "Go on with an interrupted run: its folder");
  command->add_flag("--auto-resume", options->auto_resume,
                    "Start the recipe's run, or go on with it where it stopped; for a job that a cluster starts again");
  command->add_option("--watch", options->watch, "Show the progress of a run that another process trains: its folder");
  command->add_flag("--open", options->open,
                    "Show the run's report in a browser and keep it up to date; on this machine only");
  command->add_flag("--no-cache", options->no_cache, "Tokenize anew, in memory; like --set token_cache=none");
  command->add_flag("--help-recipe", options->help_recipe, "Every key of a recipe, with its default");
  command->footer("Example: attune train recipe.yaml --set train.num_train_epochs=2");
  command->callback([options] { run_train(*options); });
}

}  // namespace attune
