// attune eval: what a tuned model has learnt, what it has forgotten, and what it gives away.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/general_words.h"
#include "cli/named_values.h"
#include "cli/speak.h"
#include "eval/evaluate.h"
#include "hub/pull.h"
#include "train/run_folder.h"
#include "train/run_plan.h"
#include "train/training_data.h"

namespace attune {
namespace {

struct EvalArguments {
  SpeakOptions speak;  // target, adapter, quantization, sampler, seed, max_tokens
  std::vector<std::string> data, only;
  std::string general_text, general_questions, canaries, checks, output;
  std::int64_t limit = EvalRequest{}.limit;
  double budget = EvalRequest{}.budget;
  bool json = false;
};

// A bar for each piece of the work.
class Display {
 public:
  void show(std::string_view what, std::int64_t done, std::int64_t total) {
    if (what != title_ || !bar_) {
      bar_.reset();
      title_ = what;
      bar_.emplace(title_, "done", static_cast<std::uint64_t>(total));
    }
    bar_->update(static_cast<std::uint64_t>(done));
    if (done == total) bar_.reset();
  }

 private:
  std::string title_;
  std::optional<Progress> bar_;
};

void check_numbers(const EvalArguments& options) {
  if (options.limit < 1) throw UserError("[--limit] expected 1 or more, got {}", options.limit);
  if (options.speak.max_tokens < 1)
    throw UserError("[--max-tokens] expected 1 or more, got {}", options.speak.max_tokens);
  if (!(options.budget >= 0)) throw UserError("[--budget] expected 0 or more, got {}", options.budget);
  Sampler{options.speak.sampler};
  const std::vector<std::string> measures(kMeasures.begin(), kMeasures.end());
  for (const std::string& name : options.only) {
    if (std::find(measures.begin(), measures.end(), name) == measures.end()) {
      throw UserError("[--only] expected one of {}, got {}{}", fmt::join(measures, ", "), name,
                      did_you_mean(name, measures));
    }
  }
}

// A run's result: its adapter, or its model after full training.
void add_result(EvalRequest& request, const fs::path& run, const Recipe& recipe) {
  const bool full = recipe.finetune == Finetune::kFull;
  const fs::path result = run / (full ? "model" : "adapter");
  if (!fs::exists(result)) {
    throw UserError("[{}] the run has no result yet; name one of its checkpoints with --adapter", run.string());
  }
  (full ? request.tuned : request.adapter) = result;
}

// The recipe of a run, or one that only names model and data.
Recipe recipe_of(const EvalArguments& options, bool is_run) {
  Recipe recipe;
  if (is_run) {
    recipe = open_run_folder(options.speak.model);
  } else {
    recipe.model = options.speak.model;
  }
  if (!options.data.empty()) recipe.data = options.data;
  recipe.model = resolve_model(recipe.model).string();
  if (!fs::is_directory(recipe.model)) {
    throw UserError(
        "[{}] there is no such folder; expected a run of attune train, or a model as Hugging Face writes it",
        recipe.model);
  }
  return recipe;
}

EvalRequest request_of(const EvalArguments& options, bool is_run) {
  const fs::path target = options.speak.model;
  const Recipe recipe = recipe_of(options, is_run);
  const ModelConfig config = load_model_config(recipe.model);
  EvalRequest request;
  request.model = recipe.model;
  if (!options.speak.adapter.empty()) {
    request.adapter = resolve_model(options.speak.adapter);
  } else if (is_run) {
    add_result(request, target, recipe);
  }
  request.quantization = is_run && !options.speak.quantization ? held_quantization(config, recipe)
                                                               : quantization_of(options.speak, config);
  request.act = activation_type(recipe.compute);
  request.max_length = recipe.train.max_length;
  request.max_tokens = options.speak.max_tokens;
  if (request.max_tokens >= config.max_position) {
    throw UserError("[--max-tokens] expected fewer than {}, the positions that the model has, got {}",
                    config.max_position, request.max_tokens);
  }
  request.only = options.only;
  request.limit = options.limit;
  request.budget = options.budget;
  request.sampler = options.speak.sampler;

  request.general_text = read_general_text(options.general_text);
  request.general_questions = read_general_questions(options.general_questions);
  if (!options.canaries.empty()) request.canaries = read_canaries(options.canaries);
  if (!options.checks.empty()) request.checks = read_checks(options.checks);
  if (!recipe.data.empty()) {
    Dataset data = read_training_conversations(recipe);
    request.train = std::move(data.train);
    request.valid = std::move(data.valid);
  }
  return request;
}

// Where the results go. A run's eval.json tells of its result, so that of another adapter needs a file of its own.
std::optional<fs::path> output_of(const EvalArguments& options, bool is_run) {
  if (!options.output.empty()) return options.output;
  const fs::path run = options.speak.model;
  std::error_code ignored;
  const bool of_result =
      options.speak.adapter.empty() || fs::equivalent(options.speak.adapter, run / "adapter", ignored);
  return is_run && of_result ? std::optional(run / "eval.json") : std::nullopt;
}

// An earlier evaluation in that file, when it is one of the adapter that is there now.
Json earlier_evaluation(const fs::path& file, const EvalRequest& request) {
  if (!fs::exists(file)) return {};
  if (request.adapter) {
    const fs::path weights = *request.adapter / "adapter_model.safetensors";
    if (fs::exists(weights) && fs::last_write_time(weights) > fs::last_write_time(file)) return {};
  }
  try {
    return parse_json(read_file(file), file.string());
  } catch (const BadFile&) {
    return {};  // not an evaluation: to be replaced, as without --only
  }
}

void run_eval(const EvalArguments& options) {
  check_numbers(options);
  watch_interrupts();
  const fs::path target = options.speak.model;
  const bool is_run = fs::exists(target / "recipe.yaml") && fs::exists(target / "run.json");
  EvalRequest request = request_of(options, is_run);
  Display display;
  request.watch.show = [&](std::string_view what, std::int64_t done, std::int64_t total) {
    display.show(what, done, total);
  };
  Json evaluation = evaluate(request);
  const std::optional<fs::path> output = output_of(options, is_run);
  if (output && !options.only.empty())
    evaluation = join_evaluations(earlier_evaluation(*output, request), std::move(evaluation));
  const std::string text = evaluation.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (output) write_file_atomic(*output, text);
  if (options.json) {
    fmt::print("{}", text);
    return;
  }
  fmt::print("{}", to_text(evaluation));
  if (output) {
    fmt::print("\nWrote {}\n", output->string());
  } else if (is_run) {
    fmt::print("\nNot written to {}: that is for the run's result; name a file with -o\n",
               (target / "eval.json").string());
  }
  if (output == target / "eval.json" && fs::exists(target / "spool" / "journal"))
    fmt::print("next attune sync {}   where the run is tracked\n", target.string());
}

}  // namespace

void add_eval_command(CLI::App& app) {
  static const std::map<std::string, Quantization> kQuantizations = {
      {"none", Quantization::kNone}, {"nf4", Quantization::kNF4}, {"int8", Quantization::kInt8}};
  const auto options = std::make_shared<EvalArguments>();
  options->speak.max_tokens = EvalRequest{}.max_tokens;
  SamplerOptions& sampler = options->speak.sampler;
  CLI::App* const command =
      app.add_subcommand("eval", "What a tuned model has learnt, what it forgot, and what it gives away");
  command->add_option("RUN", options->speak.model, "A run of attune train, or a model's folder")->required();
  command->add_option("--adapter", options->speak.adapter, "Adapter to evaluate; absent: the run's result");
  command->add_option("--data", options->data, "The person's conversations; absent: the run's")
      ->take_all()
      ->expected(1);
  command->add_option("--checks", options->checks, "Your own questions: JSON lines with \"prompt\" and \"expect\"");
  command->add_option("--canaries", options->canaries, "Lines that were planted in the training data");
  command->add_option("--general-text", options->general_text, "Text to notice forgetting by; absent: the bundled one");
  command->add_option("--general-questions", options->general_questions,
                      "Questions with choices for the same; absent: the bundled ones");
  command->add_option("--budget", options->budget, "By how much the loss on them may rise")->capture_default_str();
  command
      ->add_option(
          "--only", options->only,
          "held-out, style, forgetting, quantization, leak or checks (repeat it); what was measured before stays")
      ->take_all()
      ->expected(1);
  command->add_option("--limit", options->limit, "Conversations, answers, passages and questions of each measure")
      ->capture_default_str();
  command->add_option("--quantization", options->speak.quantization, "none, nf4 or int8; absent: the run's")
      ->transform(named_values(kQuantizations));
  command->add_option("--max-tokens", options->speak.max_tokens, "Longest answer")->capture_default_str();
  command->add_option("--temperature", sampler.temperature, "Of the answers whose style is measured")
      ->capture_default_str();
  command->add_option("--top-p", sampler.top_p, "The same")->capture_default_str();
  command->add_option("--seed", sampler.seed, "Same seed, same answers")->capture_default_str();
  command->add_option("-o,--output", options->output, "File for the results; absent: RUN/eval.json");
  command->add_flag("--json", options->json, "Print the results as JSON");
  command->footer(
      "Example: attune eval runs/pete\n"
      "\n"
      "What each line means: docs/EVAL.md. Nothing leaves this machine; eval.json holds a few answers and, with\n"
      "--canaries, the canaries.");
  command->callback([options] { run_eval(*options); });
}

}  // namespace attune
