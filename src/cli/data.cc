// attune data check: what training will make of a data set, before it starts.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "check/data_check.h"
#include "check/report.h"
#include "cli/commands.h"
#include "train/key_value.h"
#include "train/recipe.h"
#include "train/run_plan.h"

namespace attune {
namespace {

struct DataArguments {
  std::vector<std::string> data, overrides;
  std::string model, recipe, html, color = "auto";
  std::vector<std::uint64_t> rows;
  bool json = false;
};

Recipe recipe_of(const DataArguments& options) {
  Recipe recipe;
  if (!options.recipe.empty()) {
    recipe = load_recipe(options.recipe, options.overrides);
  } else {
    if (options.data.empty() || options.model.empty()) {
      throw UserError(
          "[data check] expected DIR and --model M, or --recipe FILE; e.g. attune data check pete-data --model "
          "models/base");
    }
    recipe = parse_recipe("model: " + quoted_text(options.model) + "\ndata: none\n", "data check", options.overrides);
  }
  if (!options.model.empty()) recipe.model = options.model;
  if (!options.data.empty()) recipe.data = options.data;
  return recipe;
}

// Updates that a run with these rows makes.
std::int64_t steps_of(const DataCheck& check, const TrainRecipe& train) {
  TokenizedDataset rows = make_tokenized_dataset();
  for (const std::int64_t length : check.epoch_lengths) rows.starts.push_back(rows.starts.back() + length);
  return rows.rows() == 0 ? 0 : run_length(rows, make_tokenized_dataset(), train).steps;
}

CheckContext context_of(const Recipe& recipe, const DataCheck& check, const ChatTemplate& chat_template,
                        const Tokenizer& tokenizer) {
  CheckContext context;
  for (const std::string& path : recipe.data) context.data += (context.data.empty() ? "" : ", ") + path;
  context.model = recipe.model;
  context.vocabulary = tokenizer.vocab_size();
  for (const TokenId id : stop_tokens(chat_template, tokenizer)) {
    context.stops += fmt::format("{}{} ({})", context.stops.empty() ? "" : ", ", tokenizer.decode({id}, false), id);
  }
  if (context.stops.empty()) context.stops = "no token";
  const TrainRecipe& t = recipe.train;
  context.steps = steps_of(check, t);
  const std::string rows = t.packing ? fmt::format("rows of {} tokens", with_commas(t.max_length)) : "conversations";
  context.recipe = fmt::format("{} {} to a step", t.per_device_train_batch_size * t.gradient_accumulation_steps, rows);
  if (t.max_steps <= 0) context.recipe += fmt::format(", {} epochs", t.num_train_epochs);
  return context;
}

// Encodes row `number` as training would.
ViewedRow view_row(const Recipe& recipe, std::uint64_t number, const ChatTemplate& chat_template,
                   const Tokenizer& tokenizer) {
  const CheckedRow row = find_row(recipe.data, number);
  const EncodedConversation encoded = encode_conversation(row.conversation, chat_template, tokenizer);
  return {fmt::format("row {}, {}: {} tokens", number, row.where,
                      with_commas(static_cast<std::int64_t>(encoded.tokens.size()))),
          view_tokens(encoded, tokenizer, recipe.train.max_length)};
}

bool wants_color(const std::string& choice) {
  if (choice != "auto" && choice != "always" && choice != "never") {
    throw UserError("[--color] expected auto, always or never, got \"{}\"", choice);
  }
  return choice == "always" || (choice == "auto" && isatty(STDOUT_FILENO) == 1);
}

void run_data(const DataArguments& options) {
  const Recipe recipe = recipe_of(options);
  const bool color = wants_color(options.color);
  const auto tokenizer = load_tokenizer(recipe.model);
  const ChatTemplate chat_template = load_chat_template(recipe.model);
  std::vector<ViewedRow> views;
  for (const std::uint64_t number : options.rows) views.push_back(view_row(recipe, number, chat_template, *tokenizer));
  if (!views.empty() && options.html.empty() && !options.json) {
    for (const ViewedRow& view : views) fmt::print("{}\n{}", view.title, mask_text(view.tokens, color));
    return;
  }

  watch_interrupts();
  Progress progress("checking", "conversations", 0);
  const DataCheck check = check_data(recipe.data, chat_template, *tokenizer,
                                     {recipe.train.max_length, [&](std::uint64_t rows) { progress.update(rows); }});
  const CheckContext context = context_of(recipe, check, chat_template, *tokenizer);
  if (!options.html.empty()) {
    if (views.empty() && check.problems.of[static_cast<std::size_t>(Problem::kBadRow)].rows == 0) {
      for (std::uint64_t number = 1; number <= std::min<std::uint64_t>(3, check.train + check.valid); ++number) {
        views.push_back(view_row(recipe, number, chat_template, *tokenizer));
      }
    }
    write_file_atomic(options.html, check_html(check, context, views));
  }
  if (options.json) {
    Json json = to_json(check);
    json["steps"] = context.steps;
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", check_text(check, context));
    if (!options.html.empty()) fmt::print("{:<11}{}\n", "written", options.html);
  }
  std::fflush(stdout);
  if (check.problems.errors() > 0) {
    throw UserError("[{}] training refuses {}; correct or remove what is listed above", context.data,
                    counted(check.problems.errors(), "conversation"));
  }
}

}  // namespace

void add_data_command(CLI::App& app) {
  const auto options = std::make_shared<DataArguments>();
  CLI::App* const data = app.add_subcommand("data", "Look at conversations before training on them");
  data->require_subcommand(1);
  CLI::App* const command = data->add_subcommand("check", "Token lengths, what is trained on, what is cut, problems");
  command->add_option("DATA", options->data, "Folders or files of conversations, as `data:` of a recipe");
  command->add_option("--model", options->model, "Model folder: its tokenizer and chat template");
  command->add_option("--recipe", options->recipe, "Take model, data and options from this recipe");
  command->add_option("--set", options->overrides, "Override a key of the recipe, e.g. --set train.max_length=512")
      ->take_all()
      ->expected(1);
  command->add_option("--row", options->rows, "Show what training makes of row N, counted from 1 (repeat it)")
      ->take_all()
      ->expected(1);
  command->add_option("--html", options->html, "Write a report for the browser, one file");
  command->add_option("--color", options->color, "auto, always or never")->capture_default_str();
  command->add_flag("--json", options->json, "Print every number as JSON");
  command->footer(
      "Example:\n"
      "  attune data check pete-data --model models/base --html check.html\n"
      "  attune data check pete-data --model models/base --row 17\n"
      "\n"
      "Exit status 2 when a conversation has an error: training would refuse it too. Warnings are only shown.");
  command->callback([options] { run_data(*options); });
}

}  // namespace attune
