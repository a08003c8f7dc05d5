// attune bench generate: the speed of answering on random weights of a known shape. A new token must read every weight
// once, so its ceiling is the memory's bandwidth, taken in turn with the answers and over times as long; a prompt is
// products, so its ceiling is the GEMM peak, and the best of both is compared.
#include "cli/bench_generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "cli/named_values.h"
#include "generate/generator.h"
#include "model/flops.h"
#include "model/shapes.h"
#include "ops/peak.h"
#include "train/run_plan.h"

namespace attune {
namespace {

struct BenchGenerateArguments {
  std::string shape;
  std::int64_t prompt = 512, tokens = 32;
  Quantization quantization = Quantization::kNF4;
  bool json = false;
};

// Bytes of weights that one token reads: every linear, the head, not the embedding's other rows.
double bytes_of_a_token(const Model& model) {
  std::size_t bytes = model.head.weight.bytes();
  for (const Block& block : model.blocks) {
    for (const Linear& linear : block.linears) bytes += linear.weight.bytes();
  }
  return static_cast<double>(bytes);
}

void run_bench_generate(const BenchGenerateArguments& options) {
  if (options.prompt < 1 || options.tokens < 1) throw UserError("[bench] expected --prompt and --tokens of 1 or more");
  const DType act = activation_type(Compute::kAuto);
  double peak = measure_gemm_peak(act);
  const Model model = make_random_model(shape_config(options.shape), options.quantization, 1);
  Session session(model, options.prompt + options.tokens, act);
  std::vector<TokenId> prompt(static_cast<std::size_t>(options.prompt));
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(i * 7919 % 30000);
  GenerateOptions generation;
  generation.sampler.temperature = 0;
  generation.max_new_tokens = options.tokens;
  constexpr int kRounds = 4;
  double prompt_seconds = 0, answer_seconds = 0, bandwidth = sustained_memory_bandwidth() / (kRounds + 1);
  for (int round = 0; round <= kRounds; ++round) {  // the first touches every page
    prompt.front() = round + 1;                     // nothing of the last round's cache can be kept
    const Generated answer = generate(session, prompt, generation);
    if (round == 0) continue;
    if (round == 1 || answer.prompt_seconds < prompt_seconds) prompt_seconds = answer.prompt_seconds;
    answer_seconds += answer.answer_seconds;
    bandwidth += sustained_memory_bandwidth() / (kRounds + 1);
  }
  peak = std::max(peak, measure_gemm_peak(act));
  const double token_seconds = answer_seconds / static_cast<double>(kRounds * options.tokens);

  const std::array<std::int32_t, 2> starts = {0, static_cast<std::int32_t>(options.prompt)};
  const double fraction = bytes_of_a_token(model) / token_seconds / bandwidth;
  const double sol = necessary_work(model.config, {}, false, starts, 1).forward / prompt_seconds / peak;
  if (options.json) {
    const Json result = {
        {"tokens_per_second", 1 / token_seconds}, {"bandwidth_fraction", fraction}, {"prefill_sol", sol}};
    fmt::print("{}\n", result.dump(2));
    return;
  }
  fmt::print(
      "{}: {:.1f} tokens/s, {:.1f}% of the {:.1f} GB/s of reading; a prompt of {} tokens in {:.2f} s, {:.1f}% of "
      "{:.0f} GFLOP/s\n",
      options.shape, 1 / token_seconds, 100 * fraction, bandwidth / 1e9, options.prompt, prompt_seconds, 100 * sol,
      peak / 1e9);
}

}  // namespace

void add_bench_generate(CLI::App& bench) {
  static const std::map<std::string, Quantization> kQuantizations = {
      {"nf4", Quantization::kNF4}, {"int8", Quantization::kInt8}, {"none", Quantization::kNone}};
  const auto options = std::make_shared<BenchGenerateArguments>();
  CLI::App* const generate = bench.add_subcommand(
      "generate", "An answer: tokens/s, the share of the memory's bandwidth, the prompt's share of the GEMM peak");
  generate->add_option("--shape", options->shape, "llama-250m, qwen2.5-0.5b, llama-3.2-1b or mistral-7b")->required();
  generate->add_option("--prompt", options->prompt, "Tokens of the prompt")->capture_default_str();
  generate->add_option("--tokens", options->tokens, "Tokens of the answer")->capture_default_str();
  generate->add_option("--quantization", options->quantization, "nf4, int8 or none")
      ->transform(named_values(kQuantizations));
  generate->add_flag("--json", options->json, "Print JSON");
  generate->footer("Example: attune bench generate --shape llama-250m --json");
  generate->callback([options] { run_bench_generate(*options); });
}

}  // namespace attune
