// attune plan: the arithmetic of a run, before anything starts.
#include "plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>

#include "base/error.h"
#include "base/memory_use.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "hub/pull.h"
#include "ops/peak.h"
#include "plan/estimate.h"
#include "plan/plan_json.h"
#include "token/chat_template.h"
#include "train/key_value.h"

namespace attune {
namespace {

struct PlanArguments {
  std::string model, recipe, memory, machine, machines;
  std::vector<std::string> data, overrides;
  std::int64_t conversations = 0, mean_tokens = 175;
  bool json = false, buffers = false, sweep = false, list_machines = false;
};

// A recipe may stand in the place of the model, as it does for `attune train`.
PlanArguments with_recipe(PlanArguments options) {
  const std::string suffix = fs::path(options.model).extension().string();
  if (options.recipe.empty() && (suffix == ".yaml" || suffix == ".yml")) std::swap(options.recipe, options.model);
  return options;
}

Recipe recipe_of(const PlanArguments& options) {
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
std::optional<TrainingData> data_of(const PlanArguments& options, const Recipe& recipe) {
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
  const std::size_t parts = part(plan.run, BufferKind::kOptimizer) + part(plan.run, BufferKind::kActivations) +
                            part(plan.run, BufferKind::kScratch);
  if (parts > memory.arena)
    fmt::print("  {:<22}{:>10}   by buffers that are not needed at the same time\n", "shared",
               "-" + bytes(parts - memory.arena));
  print_row("program", memory.program, "this process, measured: code, libraries, tokenizer, data");
  print_row("total", memory.total());
  if (memory.streamed > 0) print_row("on disk", memory.streamed, "weights read again for every use");
}

// "4 blocks keep all, 12 input only".
std::string keeps_text(const Schedule& schedule, std::int64_t layers) {
  std::array<std::int64_t, kKeeps> count{};
  for (std::int64_t block = 0; block < layers; ++block) {
    const auto index = static_cast<std::size_t>(block);
    ++count[static_cast<std::size_t>(index < schedule.keep.size() ? schedule.keep[index] : Keep::kAll)];
  }
  std::vector<std::string> parts;
  for (int k = 0; k < kKeeps; ++k) {
    if (const auto n = count[static_cast<std::size_t>(k)]; n > 0)
      parts.push_back(fmt::format("{} keep {}", n, name_of(static_cast<Keep>(k))));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void print_schedule(const Plan& plan) {
  const Schedule& schedule = plan.run.schedule;
  fmt::print("\nschedule   blocks: {}\n", keeps_text(schedule, plan.model.config.layers));
  fmt::print("           MLP {} tokens at a time, head {}; optimizer {}\n",
             schedule.mlp_rows == 0 ? "all" : with_commas(schedule.mlp_rows), schedule.head_rows,
             name_of(schedule.optimizer));
  if (schedule.stream_embedding || schedule.streamed_blocks > 0) {
    fmt::print("           on disk: {}{} of {} blocks\n", schedule.stream_embedding ? "the embedding, " : "",
               schedule.streamed_blocks, plan.model.config.layers);
  }
}

std::string rate_text(double tokens_per_second) {
  return tokens_per_second < 20 ? fmt::format("{:.1f}", tokens_per_second)
                                : with_commas(std::llround(tokens_per_second));
}

// The currency is that of the table.
void print_estimate(const Plan& plan, const Estimate& e, const MachineProfile& machine) {
  const auto share = [&](double seconds) { return std::llround(100 * seconds / e.pass.total()); };
  fmt::print("\nspeed      {} tokens/s on {} ({} cores, {:.0f} GFLOP/s, {:.0f} GB/s)\n", rate_text(e.tokens_per_second),
             machine.name, machine.cores, machine.speed.flops / 1e9, machine.speed.bandwidth / 1e9);
  fmt::print(
      "           of a pass: products {}%, attention {}%, memory {}%, expanding weights {}%, recomputation {}%, disk "
      "{}%\n",
      share(e.pass.products), share(e.pass.attention), share(e.pass.memory), share(e.pass.decode),
      share(e.pass.recompute), share(e.pass.streaming));
  if (e.streamed_bytes > 0) {
    fmt::print("           {} from disk in a pass, {:.0f} s at {:.1f} GB/s\n",
               bytes(static_cast<std::size_t>(e.streamed_bytes)), e.pass.streaming, machine.speed.disk / 1e9);
  }
  if (!e.seconds) return;
  fmt::print("time       {} for {:.3g} epochs of {} tokens", format_duration(*e.seconds), plan.data->epochs,
             with_commas(plan.data->tokens));
  if (machine.price_per_hour > 0) fmt::print("; costs {:.2f} at {:.2f} an hour", e.money, machine.price_per_hour);
  fmt::print("\n");
}

void print_sweep(const Plan& plan, const std::vector<SweepRow>& rows) {
  fmt::print("\n{:>10} {:>10}  schedule\n", "budget", "tokens/s");
  for (const SweepRow& row : rows) {
    const Schedule& s = row.run.schedule;
    fmt::print("{:>10} {:>10}  {}{}{}; {}\n", bytes(row.budget), rate_text(row.estimate.tokens_per_second),
               keeps_text(s, plan.model.config.layers),
               s.mlp_rows > 0 ? fmt::format("; MLP {} tokens at a time", s.mlp_rows) : "",
               s.streamed_blocks > 0 || s.stream_embedding ? fmt::format("; {} blocks on disk", s.streamed_blocks) : "",
               name_of(s.optimizer));
  }
}

void print_verdict(const Plan& plan) {
  if (plan.recipe.memory == 0) {
    const std::uint64_t machine = machine_memory_bytes();
    fmt::print("\nThis machine has {}{}; --memory names a budget.\n", bytes(machine),
               plan.run.memory.total() <= machine ? "" : ", which is less");
  } else if (plan.fits()) {
    const std::int64_t blocks = plan.run.memory.recomputed_blocks;
    fmt::print("\nfits in {}: {}.\n", bytes(plan.recipe.memory),
               blocks == 0 ? "every block's activations are kept"
                           : fmt::format("{} of {} blocks compute something again in the backward pass", blocks,
                                         plan.model.config.layers));
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

void run_plan(const PlanArguments& options) {
  if (options.list_machines) {
    fmt::print("{}", builtin_machines());
    return;
  }
  Recipe recipe = recipe_of(with_recipe(options));
  recipe.model = resolve_model(recipe.model).string();
  const ModelSource model = read_model_source(recipe.model);
  const auto data = data_of(options, recipe);
  if (options.conversations > 0 && data) {
    throw UserError("[--conversations] stands for data that is not there; leave it out with --data");
  }
  const DType act = activation_type(recipe.compute);
  const Quantization held = held_quantization(model.config, recipe);
  measure_gemm_peak(act, 0);  // as training does: what products need is part of the program
  const std::size_t program = resident_bytes();
  const MachineProfile machine =
      options.machine.empty() ? measure_machine(recipe.compute, held) : find_machine(options.machine, options.machines);
  Plan plan = make_plan(model, recipe, data ? &*data : nullptr, program);
  if (options.conversations > 0) {
    plan.data = imagined_data(model.config, recipe.train, options.conversations, options.mean_tokens);
  }
  const Estimate speed = estimate(plan, plan.run, machine);
  const std::vector<SweepRow> rows = options.sweep ? sweep(plan, machine) : std::vector<SweepRow>{};
  if (options.json) {
    Json json = to_json(plan, options.buffers);
    json["machine"] = to_json(machine);
    json["estimate"] = to_json(speed);
    if (options.sweep) json["sweep"] = to_json(rows);
    fmt::print("{}\n", json.dump(2));
  } else {
    print_model(plan);
    print_trained(plan);
    print_data(plan);
    print_memory(plan);
    print_schedule(plan);
    print_estimate(plan, speed, machine);
    print_verdict(plan);
    if (options.sweep) print_sweep(plan, rows);
    if (options.buffers) print_buffers(plan);
  }
  std::fflush(stdout);
  check_budget(plan.run, plan.needs, recipe);
}

}  // namespace

void add_plan_command(CLI::App& app) {
  const auto options = std::make_shared<PlanArguments>();
  CLI::App* const command = app.add_subcommand("plan", "Every byte of a run, before anything starts");
  command->add_option(
      "MODEL", options->model,
      "Model folder, .gguf file or config.json (no weights needed), a recipe, or a shape: llama-250m, qwen2.5-0.5b, "
      "llama-3.2-1b, mistral-7b");
  command->add_option("--recipe", options->recipe, "Plan this recipe; absent: the defaults");
  command->add_option("--data", options->data, "Conversations: their real lengths instead of the longest possible")
      ->take_all()
      ->expected(1);
  command->add_option("--memory", options->memory, "Budget, e.g. 5GB: the fastest schedule that fits, or exit with 2");
  command->add_option("--set", options->overrides, "Override a key of the recipe, e.g. --set train.max_length=512")
      ->take_all()
      ->expected(1);
  command->add_option("--conversations", options->conversations,
                      "Without data: time and cost of so many conversations");
  command->add_option("--mean-tokens", options->mean_tokens, "... of so many tokens each")->capture_default_str();
  command->add_option("--machine", options->machine,
                      "Time and cost on this machine of the table; absent: the one at hand, measured");
  command->add_option("--machines", options->machines, "Your own table of machines, YAML as --list-machines prints it");
  command->add_flag("--list-machines", options->list_machines, "Print the built-in table of machines");
  command->add_flag("--sweep", options->sweep, "Tokens/s for every budget, from the least that works");
  command->add_flag("--json", options->json, "Print every number as JSON");
  command->add_flag("--buffers", options->buffers, "List every buffer as well");
  command->footer("Example: attune plan mistral-7b --memory 6GB --set train.max_length=512");
  command->callback([options] { run_plan(*options); });
}

}  // namespace attune
