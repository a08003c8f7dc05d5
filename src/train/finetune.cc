#include "train/finetune.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/memory_use.h"
#include "format/gguf.h"
#include "ops/peak.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace attune {
namespace {

FinetuneStart describe(const RunStart& run, const TrainingData& data) {
  FinetuneStart start;
  start.run = run;
  start.train_conversations = data.train_conversations;
  start.valid_conversations = data.valid_conversations;
  start.replay_conversations = data.replay_conversations;
  start.train_tokens = static_cast<std::int64_t>(data.train.tokens.size());
  start.trained_tokens = data.train.trained_tokens();
  start.cut_rows = data.train.cut_rows;
  start.cut_tokens = data.train.cut_tokens;
  start.untrained_rows = data.train.untrained_rows;
  for (std::int64_t i = 0; i < data.train.rows(); ++i)
    start.longest_row = std::max(start.longest_row, data.train.length(i));
  start.data_digest = data.digest;
  start.problems = data.problems;
  start.cached = data.cached;
  return start;
}

// How long the rows are, in about 24 bins of a round width.
Json length_histogram(const TokenizedDataset& data, std::int64_t longest, std::int64_t max_length) {
  std::int64_t bin = 1;
  while (bin * 24 < longest) bin *= 2;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(longest / bin + 1));
  for (std::int64_t i = 0; i < data.rows(); ++i) counts[static_cast<std::size_t>(data.length(i) / bin)] += 1;
  return {{"bin", bin}, {"counts", counts}, {"max_length", max_length}};
}

Json info_of(const Recipe& recipe, const FinetuneStart& start, const std::string& status) {
  return {{"status", status},
          {"model", recipe.model},
          {"data", recipe.data},
          {"data_sha256", start.data_digest},
          {"conversations",
           {{"train", start.train_conversations},
            {"replay", start.replay_conversations},
            {"valid", start.valid_conversations}}},
          {"tokens_per_epoch", {{"all", start.train_tokens}, {"trained", start.trained_tokens}}},
          {"cut", {{"rows", start.cut_rows}, {"tokens", start.cut_tokens}}},
          {"total_steps", start.run.total_steps},
          {"parameters", {{"trained", start.run.trained_parameters}, {"all", start.run.all_parameters}}},
          {"planned_bytes",
           {{"program", start.run.memory.program},
            {"weights", start.run.memory.weights},
            {"adapter", start.run.memory.adapter},
            {"gradients", start.run.memory.gradients},
            {"activations_and_optimizer", start.run.memory.arena},
            {"total", start.run.memory.total()}}},
          {"gemm_peak_gflops", start.run.gemm_peak / 1e9},
          {"versions", software_versions()}};
}

// Memory of the machine that a run with `memory: auto` may take; the rest is for the system.
constexpr double kMachineShare = 0.95;

// The whole run, from what the files' headers say. Throws UserError when it does not fit, before anything large is read.
RunPlan plan_before_loading(const Recipe& recipe, const ModelConfig& config, const TrainingData& data, bool resume) {
  Recipe fixed = recipe;
  if (const auto checkpoint = latest_checkpoint(run_folder_of(recipe) / "checkpoints"); resume && checkpoint) {
    fixed.train.optim = optimizer_of_checkpoint(*checkpoint);
  }
  const RunLength length = run_length(data.train, data.valid, fixed.train);
  RunNeeds needs = run_needs(config, stored_type(recipe.model, config), fixed, length.pass_tokens);
  if (is_gguf_path(recipe.model)) needs.block_bytes = needs.embedding_bytes = 0;  // always read as a whole
  needs.program_bytes = resident_bytes();
  needs.machine_bytes = static_cast<std::size_t>(kMachineShare * static_cast<double>(machine_memory_bytes()));
  RunPlan plan = schedule_run(needs, fixed);
  check_budget(plan, needs, fixed);
  return plan;
}

Json number_or_null(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

void add_result(Json& info, const RunSummary& summary) {
  info["status"] = "finished";
  info["steps"] = summary.steps;
  info["seconds"] = summary.seconds;
  info["tokens_per_second"] = summary.tokens_per_second;
  info["sol"] = summary.sol;
  info["train_loss"] = number_or_null(summary.last_loss);
  info["eval_loss"] = {{"before", number_or_null(summary.valid_loss_before)},
                       {"after", number_or_null(summary.valid_loss_after)}};
  if (summary.best.step >= 0) info["best"] = {{"step", summary.best.step}, {"eval_loss", summary.best.loss}};
  info["result_step"] = summary.result_step;
  info["stopped_early"] = summary.stopped_early;
  info["measured_peak_bytes"] = summary.peak_bytes;
}

void write_result(const fs::path& folder, const Model& model, const Adapter* adapter, const std::string& base) {
  AtomicFolder result(folder);
  if (adapter != nullptr) {
    adapter->save(result.temporary());
  } else {
    save_model(result.temporary(), model, DType::kBF16);
    for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                             "generation_config.json", "chat_template.jinja"}) {
      if (const fs::path file = fs::path(base) / name; fs::exists(file)) {
        write_file_atomic(result.temporary() / name, read_file(file));
      }
    }
  }
  result.commit();
}

}  // namespace

FinetuneResult finetune(const Recipe& recipe, bool resume, const FinetuneCallbacks& callbacks) {
  const fs::path folder = run_folder_of(recipe);
  const bool full = recipe.finetune == Finetune::kFull;
  const fs::path output = result_of(recipe);
  if (!resume && fs::exists(folder)) create_run_folder(folder, recipe);  // refuses, before anything is loaded
  if (resume && fs::exists(output)) {
    throw UserError("[{}] the run is finished; its result is {}", folder.string(), output.string());
  }

  const auto tokenizer = load_tokenizer(recipe.model);
  const ModelConfig config = load_model_config(recipe.model);
  check_vocabulary(config, tokenizer->vocab_size(), recipe.model);
  const ChatTemplate chat_template = load_chat_template(recipe.model);
  const TrainingData data = load_training_data(recipe, chat_template, *tokenizer, callbacks.on_read);
  // Measured before planning: it brings in what products need, which the plan then counts.
  const double gemm_peak = measure_gemm_peak(activation_type(recipe.compute));
  const RunPlan planned = plan_before_loading(recipe, config, data, resume);
  Model model = full ? load_trainable_model(recipe.model)
                     : load_model(recipe.model, recipe.quantization, {}, planned.schedule.streaming());
  if (recipe.compute == Compute::kInt8) use_int8_products(model);
  std::optional<Adapter> adapter;
  if (!full) {
    LoraConfig lora = recipe.lora;
    lora.base_model_name_or_path = recipe.model;
    adapter = Adapter::create(model, lora, static_cast<std::uint64_t>(recipe.train.seed), true);
  }
  if (!resume) create_run_folder(folder, recipe);

  Json info;
  LoopCallbacks loop = callbacks.loop;
  loop.on_start = [&](const RunStart& run) {
    const FinetuneStart start = describe(run, data);
    info = info_of(recipe, start, "running");
    info["lengths"] = length_histogram(data.train, start.longest_row, recipe.train.max_length);
    write_run_info(folder, info);
    if (callbacks.on_start) callbacks.on_start(start);
  };
  if (callbacks.measure) {
    loop.measure = [&](std::int64_t step, std::size_t room) {
      return callbacks.measure({model, adapter.has_value(), *tokenizer, chat_template, data.valid, step, room});
    };
  }
  FinetuneResult result;
  result.output = output;
  try {
    result.summary = run_training(
        {model, adapter ? &*adapter : nullptr, data.train, data.valid, recipe, folder, resume, &planned, gemm_peak},
        loop);
  } catch (const UserError&) {
    if (!info.is_null()) {
      info["status"] = "stopped";
      write_run_info(folder, info);
    } else if (!resume) {
      fs::remove_all(folder);  // refused before the first step (memory that is not there): nothing was done
    }
    throw;
  }
  write_result(output, model, adapter ? &*adapter : nullptr, recipe.model);
  add_result(info, result.summary);
  write_run_info(folder, info);
  return result;
}

}  // namespace attune
