// attune pretrain: a small base model from text.
#include "train/pretrain.h"

#include <fmt/format.h>

#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/train_display.h"

namespace attune {
namespace {

struct PretrainArguments {
  std::string recipe;
  std::vector<std::string> overrides;
  bool resume = false;
};

void run_pretrain(const PretrainArguments& options) {
  const PretrainRecipe recipe = load_pretrain_recipe(options.recipe, options.overrides);
  watch_interrupts();
  TrainDisplay display;
  const RunSummary summary = pretrain(recipe, options.resume, display.callbacks());
  display.end();
  print_summary({summary, fs::path(recipe.output) / "model"});
}

}  // namespace

void add_pretrain_command(CLI::App& app) {
  const auto options = std::make_shared<PretrainArguments>();
  CLI::App* const command = app.add_subcommand("pretrain", "A small base model and its tokenizer from text");
  command->add_option("recipe", options->recipe, "YAML file; see assets/tiny/recipe.yaml")->required();
  command->add_option("--set", options->overrides, "Override a key, e.g. --set train.max_steps=100")->take_all();
  command->add_flag("--resume", options->resume, "Go on from the last checkpoint");
  command->footer("Example: attune pretrain assets/tiny/recipe.yaml");
  command->callback([options] { run_pretrain(*options); });
}

}  // namespace attune
