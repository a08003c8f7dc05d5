// attune bench: the speed of a training step on random weights of a known shape, beside the machine's ceiling.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "adapter/lora.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory_use.h"
#include "base/progress.h"
#include "base/rng.h"
#include "cli/bench_generate.h"
#include "cli/commands.h"
#include "model/shapes.h"
#include "ops/op_time.h"
#include "ops/peak.h"
#include "train/loop.h"
#include "train/run_plan.h"
#include "train/step.h"

namespace attune {
namespace {

struct BenchArguments {
  std::string shape, quantization = "nf4", compute = "auto", memory;
  std::int64_t tokens = 2048, rank = 16, steps = 5;
  bool recompute = false, json = false;
};

struct MeasuredStep {
  StepReport report;
  OpSeconds breakdown;
};

// One row of random tokens, every one of them trained on.
TokenizedDataset random_row(std::int64_t tokens, std::int64_t vocab) {
  Rng rng{1, 0, 0};
  EncodedConversation row;
  for (std::int64_t i = 0; i < tokens; ++i)
    row.tokens.push_back(static_cast<TokenId>(rng.below(static_cast<std::uint64_t>(vocab))));
  row.mask.assign(row.tokens.size(), 1);
  TokenizedDataset data = make_tokenized_dataset();
  append_row(data, row, tokens);
  return data;
}

Recipe recipe_of(const BenchArguments& options) {
  std::vector<std::string> overrides = {"quantization=" + options.quantization, "compute=" + options.compute};
  if (!options.memory.empty()) overrides.push_back("memory=" + options.memory);
  Recipe recipe = parse_recipe("model: random\ndata: random\n", "bench", overrides);
  recipe.lora.r = options.rank;
  recipe.lora.lora_alpha = 2.0 * static_cast<double>(options.rank);
  recipe.train.max_length = options.tokens;
  recipe.train.gradient_accumulation_steps = 1;
  if (options.recompute)
    recipe.train.gradient_checkpointing = Checkpointing::kOn;
  else if (options.memory.empty())
    recipe.train.gradient_checkpointing = Checkpointing::kOff;
  return recipe;
}

// Seconds by family of ops; what no op counts (the batch, the bookkeeping of a step) is "other".
Json breakdown_of(const MeasuredStep& step) {
  Json seconds;
  double other = step.report.seconds;
  for (std::size_t f = 0; f < kOpFamilies; ++f) {
    seconds[std::string(name_of(static_cast<OpFamily>(f)))] = step.breakdown[f];
    other -= step.breakdown[f];
  }
  seconds["other"] = other;
  return seconds;
}

void run_bench(const BenchArguments& options) {
  if (options.steps < 0 || options.tokens < 8 || options.rank < 1) {
    throw UserError("[bench] expected --steps of 0 or more, --lora-r of 1 or more and --tokens of 8 or more");
  }
  const ModelConfig config = shape_config(options.shape);
  const Recipe recipe = recipe_of(options);
  const DType act = activation_type(recipe.compute);
  double peak = measure_gemm_peak(act), sustained = sustained_gemm_rate(act) / 2;
  RunNeeds needs = run_needs(config, DType::kBF16, recipe, most_pass_tokens(recipe.train));
  needs.program_bytes = resident_bytes();
  const RunPlan planned = schedule_run(needs, recipe);
  check_budget(planned, needs, recipe);
  Model model = make_random_model(config, recipe.quantization, 1, planned.schedule.streaming());
  if (recipe.compute == Compute::kInt8) use_int8_products(model);
  const Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const TokenizedDataset data = random_row(options.tokens, config.vocab_size);
  const auto parameters = parameters_to_train(model, &adapter);
  const Arena arena(planned.arena);
  const Activations activations = bind_activations(planned.activations, arena, config);
  const auto trained = bind_optimizer(planned.optimizer, arena, parameters);
  const LoraRanks ranks = lora_ranks_of(model);

  BatchStream batches(data, {options.tokens, true, 1}, 1);
  Batch batch;
  batch.reserve(options.tokens);
  TrainState state;
  const StepOptions step{.learning_rate = 1e-4, .seed = 1};
  std::vector<MeasuredStep> steps;
  for (std::int64_t i = 0; i <= options.steps; ++i) {  // the first touches every page and makes every primitive
    OpSeconds seconds = op_seconds();
    const StepReport report = train_step(model, trained, batches, batch, activations, ranks, step, state);
    for (std::size_t f = 0; f < kOpFamilies; ++f) seconds[f] = op_seconds()[f] - seconds[f];
    steps.push_back({report, seconds});
  }
  const std::uint64_t measured_bytes = peak_resident_bytes();
  peak = std::max(peak, measure_gemm_peak(act));  // a slow moment before must not flatter
  sustained += sustained_gemm_rate(act) / 2;
  if (options.steps > 0) steps.erase(steps.begin());
  std::sort(steps.begin(), steps.end(),
            [](const auto& a, const auto& b) { return a.report.seconds < b.report.seconds; });
  const StepReport& median = steps[steps.size() / 2].report;
  const Json breakdown = breakdown_of(steps[steps.size() / 2]);
  const double rate = static_cast<double>(median.tokens) / median.seconds;
  const double sol = median.work / median.seconds / peak;
  // What no step can beat: its products at the peak, and every weight read once forward and once backward.
  const double bytes = 2.0 * static_cast<double>(planned.memory.weights + planned.memory.streamed);
  const double floor_operations = median.work / peak, floor_bytes = bytes / measure_memory_bandwidth();
  const std::size_t planned_bytes = planned.memory.total();
  if (options.json) {
    const Json result = {{"shape", options.shape},
                         {"tokens", options.tokens},
                         {"tokens_per_second", rate},
                         {"sol", sol},
                         {"gemm_peak_gflops", peak / 1e9},
                         {"gemm_sustained_gflops", sustained / 1e9},
                         {"step_seconds", median.seconds},
                         {"planned_peak_bytes", planned_bytes},
                         {"measured_peak_bytes", measured_bytes},
                         {"floor_seconds", {{"operations", floor_operations}, {"bytes", floor_bytes}}},
                         {"breakdown", breakdown}};
    fmt::print("{}\n", result.dump(2));
    return;
  }
  fmt::print(
      "{}: {} tokens/s, SOL {:.1f}% of {:.0f} GFLOP/s ({:.3f} s a step of {} tokens, median of {}),\n"
      "{:.1f}% of the {:.0f} GFLOP/s that products sustained before and after\n"
      "memory: {} planned, {} measured at the peak\n",
      options.shape, with_commas(std::llround(rate)), 100 * sol, peak / 1e9, median.seconds, median.tokens,
      steps.size(), 100 * sol * peak / sustained, sustained / 1e9, format_bytes(static_cast<double>(planned_bytes)),
      format_bytes(static_cast<double>(measured_bytes)));
  fmt::print("floors: {:.3f} s for the operations, {:.3f} s for the bytes\n", floor_operations, floor_bytes);
  for (const auto& [family, seconds] : breakdown.items()) {
    fmt::print("  {:<18} {:7.3f} s {:5.1f}%\n", family, seconds.get<double>(),
               100 * seconds.get<double>() / median.seconds);
  }
}

}  // namespace

void add_bench_command(CLI::App& app) {
  CLI::App* const bench = app.add_subcommand("bench", "Speed on random weights of a known shape");
  bench->require_subcommand(1);
  const auto options = std::make_shared<BenchArguments>();
  CLI::App* const train =
      bench->add_subcommand("train", "A LoRA step: tokens/s and the share of the machine's GEMM peak");
  train->add_option("--shape", options->shape, "llama-250m, qwen2.5-0.5b, llama-3.2-1b or mistral-7b")->required();
  train->add_option("--tokens", options->tokens, "Tokens a step, one sequence")->capture_default_str();
  train->add_option("--quantization", options->quantization, "nf4, int8 or none")->capture_default_str();
  train->add_option("--compute", options->compute, "auto, f32, bf16 or int8")->capture_default_str();
  train->add_option("--lora-r", options->rank, "Rank of the adapter on all linears")->capture_default_str();
  train->add_option("--steps", options->steps, "Steps measured, after one that is not; 0: that one")
      ->capture_default_str();
  train->add_option(
      "--memory", options->memory,
      "Budget, e.g. 5GB: the fastest schedule that fits, or exit with 2; without one nothing is recomputed");
  train->add_flag("--recompute", options->recompute, "Keep only the blocks' inputs");
  train->add_flag("--json", options->json, "Print JSON");
  train->footer("Example: attune bench train --shape llama-250m --tokens 512 --quantization nf4");
  train->callback([options] { run_bench(*options); });
  add_bench_generate(*bench);
}

}  // namespace attune
