// train/: a step learns, a run is a function of its seed, an interrupted run ends in the same bytes, nothing frozen moves.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "format/safetensors.h"
#include "train/allocation_counter.h"
#include "train/checkpoint.h"
#include "train/loop.h"
#include "train/metrics.h"

namespace attune {
namespace {

const fs::path kModel = fs::path(ATTUNE_SOURCE_DIR) / "tests" / "golden" / "llama2" / "model";
constexpr std::int64_t kVocab = 320;

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    static int count = 0;
    path = fs::temp_directory_path() / fmt::format("attune_train_test_{}_{}", ::getpid(), count++);
    fs::create_directories(path);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

// Rows of 5 to 24 tokens with a rule to learn: each token follows from the one before.
TokenizedDataset regular_rows(int count, std::uint64_t seed) {
  TokenizedDataset data = make_tokenized_dataset();
  Rng rng{seed, 0, 0};
  for (int i = 0; i < count; ++i) {
    EncodedConversation row;
    auto token = static_cast<TokenId>(rng.below(kVocab));
    for (std::uint64_t t = 0; t < 5 + rng.below(20); ++t) {
      row.tokens.push_back(token);
      row.mask.push_back(t % 4 != 0);
      token = static_cast<TokenId>((token * 3 + 1) % kVocab);
    }
    append_row(data, row, 64);
  }
  return data;
}

Recipe small_recipe() {
  Recipe recipe;
  recipe.compute = Compute::kF32;
  recipe.lora.r = 4;
  recipe.train.num_train_epochs = 4;
  recipe.train.per_device_train_batch_size = 2;
  recipe.train.gradient_accumulation_steps = 2;
  recipe.train.learning_rate = 5e-3;
  recipe.train.max_length = 64;
  recipe.lora.lora_dropout = 0.1;
  recipe.train.neftune_noise_alpha = 1;
  recipe.save.save_steps = 3;
  return recipe;
}

struct Outcome {
  RunSummary summary;
  std::string adapter;  // bytes of the last checkpoint's adapter
  std::string optimizer;
};

struct Stop : UserError {
  using UserError::UserError;
};

using Measure = std::function<Measures(std::int64_t, std::size_t)>;

// Trains in `folder`; stops after `stop_after` steps of this process when positive, as a killed process does.
Outcome train(const fs::path& folder, const Recipe& recipe, bool resume, int stop_after = 0,
              const Measure& measure = {}) {
  Model model = load_model(kModel, Quantization::kNF4);
  const Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const TokenizedDataset rows = regular_rows(60, 1), valid = regular_rows(8, 2);
  int steps = 0;
  LoopCallbacks callbacks;
  callbacks.measure = measure;
  callbacks.on_step = [&](const StepReport&, double) {
    if (++steps == stop_after) throw Stop("stopped");
  };
  Outcome outcome;
  outcome.summary =
      run_training({model, const_cast<Adapter*>(&adapter), rows, valid, recipe, folder, resume}, callbacks);
  const fs::path checkpoint = latest_checkpoint(folder / "checkpoints").value();
  outcome.adapter = read_file(checkpoint / "adapter_model.safetensors");
  outcome.optimizer = read_file(checkpoint / "optimizer.safetensors");
  return outcome;
}

TEST(Train, OverfitsAHandfulOfRows) {
  const TemporaryFolder folder;
  Model model = load_model(kModel, Quantization::kNF4);
  Recipe recipe = small_recipe();
  recipe.lora.r = 16;
  recipe.lora.lora_dropout = 0;
  recipe.train.neftune_noise_alpha = 0;
  recipe.train.num_train_epochs = 60;
  recipe.train.learning_rate = 2e-2;
  Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const TokenizedDataset rows = regular_rows(6, 1);
  const RunSummary summary = run_training({model, &adapter, rows, rows, recipe, folder.path, false}, {});
  EXPECT_LT(summary.valid_loss_after, 0.05 * summary.valid_loss_before);
  EXPECT_GT(summary.sol, 0);
}

TEST(Train, SameSeedSameBytesOtherSeedOtherBytes) {
  const TemporaryFolder a, b, c;
  Recipe recipe = small_recipe();
  const Outcome first = train(a.path, recipe, false), second = train(b.path, recipe, false);
  EXPECT_EQ(first.adapter, second.adapter);
  EXPECT_EQ(first.optimizer, second.optimizer);
  recipe.train.seed = 43;
  EXPECT_NE(train(c.path, recipe, false).adapter, first.adapter);
}

TEST(Train, ResumedAnywhereEndsInTheSameBytes) {
  const TemporaryFolder whole;
  const Recipe recipe = small_recipe();
  const Outcome expected = train(whole.path, recipe, false);
  for (const int stop_after : {1, 3, 4, 7}) {
    const TemporaryFolder folder;
    EXPECT_THROW(train(folder.path, recipe, false, stop_after), Stop);
    const Outcome resumed = train(folder.path, recipe, true);
    EXPECT_EQ(resumed.adapter, expected.adapter) << "stopped after " << stop_after;
    EXPECT_EQ(resumed.optimizer, expected.optimizer) << "stopped after " << stop_after;
    // Every step once, whatever was logged before the stop.
    std::vector<std::int64_t> steps;
    const std::string metrics = read_file(folder.path / "metrics.jsonl");
    for (std::size_t begin = 0; begin < metrics.size();) {
      const std::size_t end = metrics.find('\n', begin);
      const Json line = parse_json(metrics.substr(begin, end - begin), "metrics");
      if (line.contains("loss")) steps.push_back(line["step"].get<std::int64_t>());
      begin = end + 1;
    }
    for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i], static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(static_cast<std::int64_t>(steps.size()), resumed.summary.steps);
  }
}

TEST(Train, ASpikeIsSkippedAndReported) {
  const TemporaryFolder folder;
  Model model = load_model(kModel, Quantization::kNF4);
  Recipe recipe = small_recipe();
  recipe.train.num_train_epochs = 10;
  recipe.train.learning_rate = 1e-6;          // so the loss goes up and down around a mean
  recipe.train.loss_spike_deviations = 0.01;  // and whatever is above it is a spike
  recipe.train.max_skipped_steps = 1000;
  Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const auto parameters = [&] {
    std::string bytes;
    for (const NamedParameter& p : parameters_to_train(model, &adapter))
      bytes.append(static_cast<const char*>(p.value.data), p.value.bytes());
    return bytes;
  };
  std::string before = parameters();
  std::vector<std::int64_t> skipped;
  LoopCallbacks callbacks;
  callbacks.on_step = [&](const StepReport& report, double) {
    if (report.learning_rate > 0) {
      EXPECT_EQ(report.skipped, parameters() == before) << report.step;
    }
    before = parameters();
  };
  callbacks.on_skip = [&](const StepReport& report, const std::string& why) {
    EXPECT_TRUE(why.starts_with("loss ")) << why;
    skipped.push_back(report.step);
  };
  run_training({model, &adapter, regular_rows(60, 1), make_tokenized_dataset(), recipe, folder.path, false}, callbacks);
  ASSERT_FALSE(skipped.empty());
  EXPECT_GT(skipped.front(), 20);
  EXPECT_NE(read_file(folder.path / "metrics.jsonl").find("\"skipped\":\"loss "), std::string::npos);
}

TEST(Train, StopsAfterManyLossesThatAreNoNumbers) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe();
  recipe.train.learning_rate = 1e30;
  recipe.train.max_grad_norm = 0;
  recipe.train.max_skipped_steps = 3;
  try {
    train(folder.path, recipe, false);
    FAIL() << "went on";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("3 steps in a row up to step "), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("not finite; lower train.learning_rate"), std::string::npos)
        << error.what();
  }
}

TEST(Train, StopsEarlyAndTakesTheBest) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe();
  recipe.train.num_train_epochs = 40;
  recipe.train.learning_rate = 2e-2;  // soon learns the rows by heart and forgets the rule
  recipe.eval.eval_steps = 5;
  recipe.eval.early_stopping_patience = 3;
  recipe.save.load_best_model_at_end = true;
  recipe.save.save_total_limit = 1;
  const RunSummary summary = train(folder.path, recipe, false).summary;
  ASSERT_TRUE(summary.stopped_early);
  EXPECT_EQ(summary.best.since, 3);
  EXPECT_EQ(summary.steps, summary.best.step + 15);
  EXPECT_EQ(summary.result_step, summary.best.step);
  // The best outlives save_total_limit, and no measurement in the log is lower.
  EXPECT_TRUE(fs::exists(checkpoint_path(folder.path / "checkpoints", summary.best.step) / "state.json"));
  const std::string metrics = read_file(folder.path / "metrics.jsonl");
  double lowest = 1e9;
  for (std::size_t begin = 0; begin < metrics.size();) {
    const std::size_t end = metrics.find('\n', begin);
    const Json line = parse_json(metrics.substr(begin, end - begin), "metrics");
    if (line.contains("eval_loss") && line["step"] != 0) lowest = std::min(lowest, line["eval_loss"].get<double>());
    begin = end + 1;
  }
  EXPECT_EQ(lowest, summary.best.loss);
}

// A held-out loss is better only when it is lower by more than the threshold.
TEST(Train, AGainBelowTheThresholdIsNone) {
  Recipe recipe = small_recipe();
  recipe.train.max_steps = 10;
  recipe.eval.eval_steps = 5;
  recipe.eval.early_stopping_patience = 1;
  std::vector<double> losses;  // at steps 5 and 10
  const auto best_of = [&](double threshold) {
    const TemporaryFolder folder;
    recipe.eval.early_stopping_threshold = threshold;
    const RunSummary summary = train(folder.path, recipe, false).summary;
    losses.push_back(summary.best.loss);
    EXPECT_EQ(summary.best.since, summary.best.step == 10 ? 0 : 1);
    return summary.best.step;
  };
  ASSERT_EQ(best_of(1e6), 5);
  ASSERT_EQ(best_of(0), 10);
  const double gain = losses[0] - losses[1];
  ASSERT_GT(gain, 0);
  EXPECT_EQ(best_of(0.9 * gain), 10);
  EXPECT_EQ(best_of(1.1 * gain), 5);
}

TEST(Train, AnEarlyStopIsTheSameAfterAResume) {
  Recipe recipe = small_recipe();
  recipe.train.num_train_epochs = 40;
  recipe.train.learning_rate = 2e-2;
  recipe.eval.eval_steps = 5;
  recipe.eval.early_stopping_patience = 3;
  const TemporaryFolder whole, folder;
  const Outcome expected = train(whole.path, recipe, false);
  EXPECT_THROW(train(folder.path, recipe, false, static_cast<int>(expected.summary.best.step) + 4), Stop);
  const Outcome resumed = train(folder.path, recipe, true);
  EXPECT_EQ(resumed.summary.steps, expected.summary.steps);
  EXPECT_EQ(resumed.adapter, expected.adapter);
}

// The best of the measurements within the budget is what the run ends with.
TEST(Train, StopsWhenTooMuchIsForgotten) {
  Recipe recipe = small_recipe();
  recipe.train.num_train_epochs = 8;
  recipe.eval.eval_steps = 5;
  recipe.eval.early_stopping_forgetting = 0.25;
  recipe.save.save_steps = 0;
  int measured = 0;
  const TemporaryFolder folder;
  const RunSummary summary = train(folder.path, recipe, false, 0, [&](std::int64_t, std::size_t room) {
                               EXPECT_GT(room, 0U);
                               return Measures{0.5, 1.0, 0.1 * measured++, 0.01};
                             }).summary;
  EXPECT_TRUE(summary.stopped_early);
  EXPECT_TRUE(summary.forgot_too_much);
  EXPECT_EQ(summary.steps, 15);
  EXPECT_EQ(summary.best.step, 10);
  EXPECT_EQ(summary.result_step, 10);
  const std::string metrics = read_file(folder.path / "metrics.jsonl");
  EXPECT_NE(metrics.find("\"eval_end_of_turn\":1.0,\"eval_forgetting\":0.1,\"eval_forgetting_kl\":0.01"), metrics.npos);
}

TEST(Train, MeasuringChangesNothingAndCtrlCWithinItLosesNothing) {
  const Recipe recipe = small_recipe();
  const TemporaryFolder plain, measured;
  const Outcome expected = train(plain.path, recipe, false);
  const Outcome got = train(measured.path, recipe, false, 0,
                            [](std::int64_t, std::size_t) -> Measures { throw Interrupted("stopped"); });
  EXPECT_EQ(got.adapter, expected.adapter);
  EXPECT_EQ(got.optimizer, expected.optimizer);
  EXPECT_EQ(got.summary.valid_loss_after, expected.summary.valid_loss_after);
}

TEST(Train, FrozenWeightsDoNotMoveAndAFreshAdapterIsTheBase) {
  Model model = load_model(kModel, Quantization::kNF4);
  const auto bytes_of = [&] {
    std::string all;
    for (const Block& block : model.blocks) {
      for (const Linear& linear : block.linears) {
        all.append(static_cast<const char*>(linear.weight.data),
                   static_cast<std::size_t>(linear.weight.rows * linear.weight.columns / 2));
      }
    }
    return all;
  };
  const std::string before = bytes_of();
  const Recipe recipe = small_recipe();
  const TokenizedDataset rows = regular_rows(20, 1), none = make_tokenized_dataset();
  const auto loss_before_training = [&](Adapter* adapter) {
    const TemporaryFolder folder;
    double loss = 0;
    LoopCallbacks callbacks;
    callbacks.on_eval = [&](const EvalReport& report) {
      if (report.step == 0) loss = report.loss;
    };
    run_training({model, adapter, rows, rows, recipe, folder.path, false}, callbacks);
    return loss;
  };
  Adapter one = Adapter::create(model, recipe.lora, 1, true);
  const double with_one = loss_before_training(&one);
  EXPECT_EQ(bytes_of(), before);
  Adapter two = Adapter::create(model, recipe.lora, 2, true);  // another A, but B = 0 again
  EXPECT_EQ(loss_before_training(&two), with_one);
}

TEST(Train, AccumulationWeighsBySupervisedTokens) {
  // One step over four rows gives the same update whether they come in one micro-batch or in four.
  std::vector<std::vector<float>> updates;
  for (const std::int64_t accumulation : {1, 2, 4}) {
    const TemporaryFolder folder;
    Recipe recipe = small_recipe();
    recipe.lora.lora_dropout = 0;
    recipe.train.neftune_noise_alpha = 0;
    recipe.train.packing = false;
    recipe.train.max_steps = 2;
    recipe.train.lr_scheduler_type = LrScheduler::kConstant;
    recipe.train.per_device_train_batch_size = 4 / accumulation;
    recipe.train.gradient_accumulation_steps = accumulation;
    train(folder.path, recipe, false);
    const SafetensorsFile file(latest_checkpoint(folder.path / "checkpoints").value() / "adapter_model.safetensors");
    std::vector<float> values;
    for (const StoredTensor& tensor : file.tensors()) {
      const auto* const data = reinterpret_cast<const float*>(tensor.bytes.data());
      values.insert(values.end(), data, data + tensor.bytes.size() / sizeof(float));
    }
    updates.push_back(values);
  }
  for (std::size_t i = 1; i < updates.size(); ++i) {
    double difference = 0, norm = 0;
    for (std::size_t j = 0; j < updates[0].size(); ++j) {
      difference += std::pow(updates[i][j] - updates[0][j], 2);
      norm += std::pow(updates[0][j], 2);
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-3);
  }
}

TEST(Train, AStepAllocatesNothing) {
  Model model = load_model(kModel, Quantization::kNF4);
  Recipe recipe = small_recipe();
  Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const TokenizedDataset rows = regular_rows(200, 1);
  recipe.train.num_train_epochs = 1;
  recipe.save.save_steps = 0;
  recipe.train.max_steps = 12;
  const TemporaryFolder folder;
  std::vector<int> counts;
  LoopCallbacks callbacks;
  callbacks.on_step = [&](const StepReport&, double) { counts.push_back(large_allocations()); };
  run_training({model, &adapter, rows, make_tokenized_dataset(), recipe, folder.path, false}, callbacks);
  ASSERT_EQ(counts.size(), 12u);
  EXPECT_EQ(counts[10], counts[2]) << "large allocations between the third and the eleventh step";
}

TEST(Train, BudgetsThatAreTooSmallAreRefusedAndTightOnesRecompute) {
  Model model = load_model(kModel, Quantization::kNF4);
  Recipe recipe = small_recipe();
  Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  const TokenizedDataset rows = regular_rows(20, 1), none = make_tokenized_dataset();
  const TemporaryFolder a, b;
  recipe.memory = 1000;
  EXPECT_THROW(run_training({model, &adapter, rows, none, recipe, a.path, false}, {}), UserError);
  recipe.memory = 0;
  RunMemory free;
  LoopCallbacks callbacks;
  callbacks.on_start = [&](const RunStart& start) { free = start.memory; };
  run_training({model, &adapter, rows, none, recipe, b.path, false}, callbacks);
  EXPECT_EQ(free.recomputed_blocks, 0);
  const TemporaryFolder c;
  const RunNeeds needs = run_needs(model, &adapter, most_pass_tokens(recipe.train));
  recipe.memory = plan_run(needs, recipe, tight_schedule(needs, recipe)).memory.total();
  RunMemory tight;
  callbacks.on_start = [&](const RunStart& start) { tight = start.memory; };
  run_training({model, &adapter, rows, none, recipe, c.path, false}, callbacks);
  EXPECT_GT(tight.recomputed_blocks, 0);
  EXPECT_LE(tight.total(), recipe.memory);
}

TEST(Metrics, ATornLineAndLaterStepsAreDropped) {
  const TemporaryFolder folder;
  const fs::path path = folder.path / "metrics.jsonl";
  write_file_atomic(path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"ste");
  MetricsLog log(path, 2);
  log.append({{"step", 3}});
  EXPECT_EQ(read_file(path), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

TEST(Checkpoint, DamageIsNamed) {
  const TemporaryFolder folder;
  const Outcome outcome = train(folder.path, small_recipe(), false);
  const fs::path checkpoint = latest_checkpoint(folder.path / "checkpoints").value();
  fs::resize_file(checkpoint / "optimizer.safetensors", 100);
  EXPECT_THROW(train(folder.path, small_recipe(), true), UserError);
  fs::remove(checkpoint / "state.json");  // not a checkpoint any more: the one before is taken
  EXPECT_NE(latest_checkpoint(folder.path / "checkpoints"), checkpoint);
}

}  // namespace
}  // namespace attune
