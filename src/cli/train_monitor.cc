#include "cli/train_monitor.h"

#include <fmt/format.h>

#include "cli/assets.h"
#include "cli/general_words.h"
#include "train/run_folder.h"
#include "train/run_plan.h"

namespace attune {

MonitorOptions monitor_options(const Recipe& recipe) {
  MonitorOptions options;
  options.act = activation_type(recipe.compute);
  options.style_answers = recipe.eval.style_answers;
  options.samples = run_folder_of(recipe) / "samples.json";
  if (recipe.eval.forgetting_samples == 0 || recipe.finetune == Finetune::kFull) return options;
  try {
    options.general_text = read_general_text(recipe.eval.general_text);
    options.general_questions = read_general_questions(recipe.eval.general_questions);
    options.forgetting_samples = recipe.eval.forgetting_samples;
  } catch (const NoAssets& error) {
    if (recipe.eval.early_stopping_forgetting > 0) throw;
    fmt::print(stderr, "note      forgetting is not measured: {}\n", error.what());
  }
  return options;
}

}  // namespace attune
