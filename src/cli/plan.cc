// attune plan: the arithmetic of a run, before anything starts.
#include "plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "hub/pull.h"
#include "plan/plan_json.h"
#include "token/chat_template.h"
#include "train/key_value.h"

namespace attune {
namespace {

struct Options {
  std::string model, recipe, memory;
  std::vector<std::string> data, overrides;
  bool json = false, buffers = false;
};

Recipe recipe_of(const Options& options) {
  std::vector<std::string> overrides = options.overrides;
  if (!options.memory.empty()) overrides.push_back("memory=" + options.memory);
  if (!options.recipe.empty()) {
    Recipe recipe = load_recipe(options.recipe, overrides);
    if (!options.model.empty()) recipe.model = options.model;
    if (!options.data.empty()) recipe.data = options.data;
    return recipe;
  }
  if (options.model.empty()) throw UserError("[plan] expected a model or --recipe FILE; e.g. attune plan mistral-7b");
  // Every key but these two has a default, and --data may be absent.
  Recipe recipe = parse_recipe("model: " + quoted_text(options.model) + "\ndata: none\n", "plan", overrides);
  recipe.data = options.data;
  return recipe;
}

// The data that was asked for; a recipe's own when the model brings a tokenizer to read it with.
std::optional<TrainingData> data_of(const Options& options, const Recipe& recipe) {
  const fs::path model = recipe.model;
  const fs::path folder = fs::is_regular_file(model) ? model.parent_path() : model;
  const bool has_tokenizer = fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model");
  if (!options.data.empty() && !has_tokenizer) {
    throw UserError("[--data] needs a tokenizer, and {} has none; name a model folder with tokenizer.json",
                    recipe.model);
  }
  if (recipe.data.empty() || !has_tokenizer) return std::nullopt;
  return load_training_data(recipe, load_chat_template(folder), *load_tokenizer(folder));
}

std::string bytes(std::size_t count) { return format_bytes(static_cast<double>(count)); }

void print_row(const std::string& name, std::size_t count, const std::string& remark = {}) {
  fmt::print("  {:<22}{:>10}{}{}\n", name, bytes(count), remark.empty() ? "" : "   ", remark);
}

void print_model(const Plan& plan) {
  const ModelConfig& c = plan.model.config;
  fmt::print("model      {}: {} blocks, hidden {}, ffn {}, {} heads, {} key/value heads, vocabulary {}\n",
             plan.model.name, c.layers, with_commas(c.hidden_size), with_commas(c.intermediate_size), c.heads,
             c.kv_heads, with_commas(c.vocab_size));
  fmt::print("           {} parameters, {} of them in the linears of the blocks\n\n", with_commas(plan.parameters),
             with_commas(plan.linear_parameters));
  const bool full = plan.recipe.finetune == Finetune::kFull;
  const Quantization held = held_quantization(c, plan.recipe);
  const auto mark = [&](bool here) { return std::string(here ? "<- this run" : ""); };
  const bool plain = !full && held == Quantization::kNone;
  fmt::print("weights\n");
  print_row("32 bit (f32)", plan.weights.f32, mark(full || (plain && plan.model.stored == DType::kF32)));
  print_row(fmt::format("16 bit ({})", plan.model.stored == DType::kF16 ? "f16" : "bf16"), plan.weights.bf16,
            mark(plain && plan.model.stored != DType::kF32));
  print_row("8 bit (int8)", plan.weights.int8, mark(!full && held == Quantization::kInt8));
  print_row("4 bit (nf4)", plan.weights.nf4, mark(!full && held == Quantization::kNF4));
  if (!full) fmt::print("  In 8 and 4 bit: scales included, embedding and head in 16 bit, norms in f32.\n");
}

void print_trained(const Plan& plan) {
  if (plan.targets.empty()) {
    fmt::print("\ntrained    every weight: {} parameters\n", with_commas(plan.trained_parameters));
    return;
  }
  const LoraConfig& lora = plan.recipe.lora;
  fmt::print("\nadapter    r {}, alpha {} on {} of {} blocks\n", lora.r, lora.lora_alpha,
             fmt::join(adapted_modules(plan), ", "), adapted_blocks(plan));
  fmt::print("           {} parameters trained, {:.2f}% of the model's\n", with_commas(plan.trained_parameters),
             100 * plan.trained_share());
}

void print_data(const Plan& plan) {
  const TrainRecipe& train = plan.recipe.train;
  if (plan.data) {
    const PlanData& d = *plan.data;
    fmt::print("\ndata       {} conversations to learn from, {} held out; {} tokens an epoch, {} of them trained on\n",
               with_commas(d.train_conversations), with_commas(d.valid_conversations), with_commas(d.tokens),
               with_commas(d.trained_tokens));
    fmt::print("           longest {} tokens; {} steps\n", with_commas(d.longest), with_commas(d.steps));
    if (d.cut_rows > 0) {
      fmt::print("           {} conversations are longer than max_length: {} tokens at their ends are not learnt\n",
                 with_commas(d.cut_rows), with_commas(d.cut_tokens));
    }
  }
  fmt::print("\npass       {} tokens at most (batch {}, max_length {}), activations in {}\n",
             with_commas(plan.needs.pass_tokens), train.per_device_train_batch_size, with_commas(train.max_length),
             name_of(activation_type(plan.recipe.compute)));
}

void print_memory(const Plan& plan) {
  const RunMemory& memory = plan.run.memory;
  const auto part = [](const RunPlan& run, BufferKind kind) { return run.arena.bytes_of(kind); };
  fmt::print("\nmemory of the run\n");
  print_row("weights", memory.weights);
  if (memory.adapter > 0) print_row("adapter", memory.adapter);
  print_row("gradients", memory.gradients);
  print_row("optimizer", part(plan.run, BufferKind::kOptimizer), "two moments for each trained parameter");
  print_row("activations", part(plan.run, BufferKind::kActivations),
            fmt::format("{} with everything kept, {} with everything recomputed",
                        bytes(part(plan.kept, BufferKind::kActivations)),
                        bytes(part(plan.recomputed, BufferKind::kActivations))));
  print_row("scratch", part(plan.run, BufferKind::kScratch));
  print_row("total", memory.total());
}

void print_verdict(const Plan& plan) {
  const std::int64_t layers = plan.model.config.layers, blocks = plan.run.memory.recomputed_blocks;
  const std::string recomputed =
      blocks == 0 ? "every block's activations are kept"
                  : fmt::format("{} of {} blocks are computed again in the backward pass", blocks, layers);
  if (plan.recipe.memory == 0) {
    fmt::print("\n{}; --memory names a budget.\n", recomputed);
  } else if (plan.fits()) {
    fmt::print("\nfits in {}: {}.\n", bytes(plan.recipe.memory), recomputed);
  }
}

void print_buffers(const Plan& plan) {
  fmt::print("\n{:<74} {:<12} {:<5} {:<18} {:>15}  {}\n", "buffer", "for", "type", "shape", "bytes", "lives");
  for (const BufferPlan& b : plan_buffers(plan)) {
    const bool always = b.lifetime.end == Lifetime{}.end;
    fmt::print("{:<74} {:<12} {:<5} {:<18} {:>15}  {}\n", b.name, name_of(b.kind), name_of(b.dtype), to_string(b.shape),
               with_commas(static_cast<std::int64_t>(b.bytes)),
               always ? "always" : fmt::format("{}-{}", b.lifetime.begin, b.lifetime.end));
  }
}

void run(const Options& options) {
  Recipe recipe = recipe_of(options);
  recipe.model = resolve_model(recipe.model).string();
  const ModelSource model = read_model_source(recipe.model);
  const auto data = data_of(options, recipe);
  const Plan plan = make_plan(model, recipe, data ? &*data : nullptr);
  if (options.json) {
    fmt::print("{}\n", to_json(plan, options.buffers).dump(2));
  } else {
    print_model(plan);
    print_trained(plan);
    print_data(plan);
    print_memory(plan);
    print_verdict(plan);
    if (options.buffers) print_buffers(plan);
  }
  std::fflush(stdout);
  check_budget(plan.run, plan.needs, recipe);
}

}  // namespace

void add_plan_command(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* const command = app.add_subcommand("plan", "Every byte of a run, before anything starts");
  command->add_option("MODEL", options->model,
                      "Model folder or config.json (no weights needed), or a shape: llama-250m, qwen2.5-0.5b, "
                      "llama-3.2-1b, mistral-7b");
  command->add_option("--recipe", options->recipe, "Plan this recipe; absent: the defaults");
  command->add_option("--data", options->data, "Conversations: their real lengths instead of the longest possible")
      ->take_all()
      ->expected(1);
  command->add_option("--memory", options->memory, "Budget, e.g. 5GB: recompute as little as fits, or exit with 2");
  command->add_option("--set", options->overrides, "Override a key of the recipe, e.g. --set train.max_length=512")
      ->take_all()
      ->expected(1);
  command->add_flag("--json", options->json, "Print every number as JSON");
  command->add_flag("--buffers", options->buffers, "List every buffer as well");
  command->footer("Example: attune plan mistral-7b --memory 6GB --set train.max_length=512");
  command->callback([options] { run(*options); });
}

}  // namespace attune
