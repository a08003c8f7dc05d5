// The schedule solver: what it chooses fits, more memory is never slower, and nothing it does changes a bit of a result.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/rng.h"
#include "model/shapes.h"
#include "train/loop.h"
#include "train/run_cost.h"

namespace attune {
namespace {

ModelConfig small_config() {
  ModelConfig c = shape_config("llama-250m");
  c.hidden_size = 64;
  c.intermediate_size = 160;
  c.layers = 4;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 16;
  c.vocab_size = 96;
  return c;
}

Recipe recipe_for(std::int64_t tokens) {
  Recipe recipe;
  recipe.compute = Compute::kF32;
  recipe.lora.r = 4;
  recipe.train.max_length = tokens;
  recipe.train.gradient_accumulation_steps = 1;
  return recipe;
}

RunNeeds needs_of(const std::string& shape, const Recipe& recipe) {
  return run_needs(shape_config(shape), DType::kBF16, recipe, most_pass_tokens(recipe.train));
}

double seconds_of(const RunNeeds& needs, const Recipe& recipe, const Schedule& schedule) {
  return pass_cost(needs, recipe, schedule, pass_work(needs.config, needs.pass_tokens, recipe.train.max_length),
                   kNominalMachine)
      .total();
}

TEST(Schedule, FitsEveryBudgetAndMoreMemoryIsNeverSlower) {
  for (const char* const shape : {"llama-250m", "qwen2.5-0.5b", "mistral-7b"}) {
    for (const std::int64_t tokens : {256, 2048, 8192}) {
      Recipe recipe = recipe_for(tokens);
      const RunNeeds needs = needs_of(shape, recipe);
      const std::size_t most = plan_run(needs, recipe, roomy_schedule(needs, recipe)).memory.total();
      const std::size_t least = plan_run(needs, recipe, tight_schedule(needs, recipe)).memory.total();
      ASSERT_LT(least, most);
      double before = std::numeric_limits<double>::infinity();
      constexpr int kBudgets = 9;
      for (int i = 0; i <= kBudgets; ++i) {
        recipe.memory = least + (most - least) * static_cast<std::size_t>(i) / kBudgets;
        const RunPlan plan = schedule_run(needs, recipe);
        EXPECT_LE(plan.memory.total(), recipe.memory) << shape << " " << tokens << " " << i;
        const double seconds = seconds_of(needs, recipe, plan.schedule);
        // A larger optimizer state may be taken for up to a twentieth of the time.
        EXPECT_LE(seconds, before / 0.95) << shape << " " << tokens << " " << i;
        before = seconds;
      }
      recipe.memory = most;
      EXPECT_EQ(schedule_run(needs, recipe).schedule.recomputed_blocks(), 0);
      recipe.memory = least - 1;
      EXPECT_FALSE(fits(schedule_run(needs, recipe), needs, recipe));
    }
  }
}

TEST(Schedule, WithOneOptimizerMoreMemoryIsStrictlyNeverSlower) {
  Recipe recipe = recipe_for(2048);
  recipe.train.optim = OptimizerKind::kAdamW;
  const RunNeeds needs = needs_of("qwen2.5-0.5b", recipe);
  const std::size_t most = plan_run(needs, recipe, roomy_schedule(needs, recipe)).memory.total();
  const std::size_t least = plan_run(needs, recipe, tight_schedule(needs, recipe)).memory.total();
  Rng rng{5, 0, 0};
  std::vector<std::size_t> budgets;
  for (int i = 0; i < 24; ++i) budgets.push_back(least + rng.below(most - least));
  std::sort(budgets.begin(), budgets.end());
  double before = std::numeric_limits<double>::infinity();
  for (const std::size_t budget : budgets) {
    recipe.memory = budget;
    const double seconds = seconds_of(needs, recipe, schedule_run(needs, recipe).schedule);
    EXPECT_LE(seconds, before) << budget;
    before = seconds;
  }
}

TEST(Schedule, WeightsBelowTheBudgetStayInMemoryAndLargerOnesAreStreamed) {
  Recipe recipe = recipe_for(512);
  const RunNeeds needs = needs_of("mistral-7b", recipe);
  recipe.memory = plan_run(needs, recipe, roomy_schedule(needs, recipe)).memory.total();
  EXPECT_EQ(schedule_run(needs, recipe).memory.streamed, 0u);
  recipe.memory = 1'500'000'000;  // of 4.1 GB of weights
  const RunPlan streamed = schedule_run(needs, recipe);
  EXPECT_GT(streamed.schedule.streamed_blocks, 20);
  EXPECT_LE(streamed.memory.total(), recipe.memory);
}

TEST(Schedule, AutoTakesTheSmallerOptimizerOnlyUnderPressure) {
  Recipe recipe = recipe_for(2048);
  const RunNeeds needs = needs_of("mistral-7b", recipe);
  EXPECT_EQ(schedule_run(needs, recipe).schedule.optimizer, OptimizerKind::kAdamW);
  recipe.memory = 5'000'000'000;
  EXPECT_NE(schedule_run(needs, recipe).schedule.optimizer, OptimizerKind::kAdamW);
  recipe.train.optim = OptimizerKind::kAdamWBf16;
  EXPECT_EQ(schedule_run(needs, recipe).schedule.optimizer, OptimizerKind::kAdamWBf16);
}

TEST(Schedule, CheckpointingOffKeepsEverythingAndOnNothing) {
  Recipe recipe = recipe_for(512);
  const RunNeeds needs = needs_of("llama-250m", recipe);
  recipe.memory = 1;
  recipe.train.gradient_checkpointing = Checkpointing::kOff;
  EXPECT_EQ(schedule_run(needs, recipe).schedule.recomputed_blocks(), 0);
  recipe.memory = 0;
  recipe.train.gradient_checkpointing = Checkpointing::kOn;
  for (const Keep keep : schedule_run(needs, recipe).schedule.keep) EXPECT_EQ(keep, Keep::kInput);
}

struct Result {
  std::vector<double> losses;
  std::string adapter;
};

// Three steps of 1,056 tokens in packed rows under a schedule, on random weights.
Result train_under(const Schedule& schedule, DType act, bool dropout) {
  const ModelConfig config = small_config();
  Recipe recipe = recipe_for(1056);
  recipe.compute = act == DType::kF32 ? Compute::kF32 : Compute::kBF16;
  recipe.lora.lora_dropout = dropout ? 0.1 : 0;
  Model model = make_random_model(config, Quantization::kNF4, 3, schedule.streaming());
  const Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
  TokenizedDataset data = make_tokenized_dataset();
  Rng rng{9, 0, 0};
  for (int row = 0; row < 24; ++row) {
    EncodedConversation tokens;
    for (std::uint64_t t = 0; t < 60 + rng.below(120); ++t) {
      tokens.tokens.push_back(static_cast<TokenId>(rng.below(96)));
      tokens.mask.push_back(t % 3 != 0);
    }
    append_row(data, tokens, 1056);
  }
  const auto parameters = parameters_to_train(model, &adapter);
  const RunNeeds needs = run_needs(model, &adapter, 1056);
  const RunPlan plan = plan_run(needs, recipe, schedule);
  const Arena arena(plan.arena);
  const Activations activations = bind_activations(plan.activations, arena, config);
  const auto trained = bind_optimizer(plan.optimizer, arena, parameters);
  BatchStream batches(data, {1056, true, 1}, 1);
  Batch batch;
  batch.reserve(1056);
  TrainState state;
  Result result;
  for (int step = 0; step < 3; ++step) {
    result.losses.push_back(
        train_step(model, trained, batches, batch, activations, needs.ranks, {.learning_rate = 1e-2, .seed = 4}, state)
            .loss);
  }
  for (const TrainedParameter& p : trained)
    result.adapter.append(static_cast<const char*>(p.value.data), p.value.bytes());
  return result;
}

TEST(Schedule, KeepingRecomputingChunkingAndStreamingGiveTheSameBits) {
  for (const DType act : {DType::kF32, DType::kBF16}) {
    for (const bool dropout : {false, true}) {
      const Result expected = train_under({}, act, dropout);
      EXPECT_LT(expected.losses.back(), expected.losses.front());
      const auto expect_same = [&](const Schedule& schedule, const char* what) {
        const Result got = train_under(schedule, act, dropout);
        EXPECT_EQ(got.losses, expected.losses) << what << " " << name_of(act) << " dropout " << dropout;
        EXPECT_TRUE(got.adapter == expected.adapter) << what << " " << name_of(act) << " dropout " << dropout;
      };
      for (int keep = 0; keep < kKeeps; ++keep) {
        expect_same({.keep = std::vector<Keep>(4, static_cast<Keep>(keep))}, name_of(static_cast<Keep>(keep)).data());
      }
      expect_same({.keep = {Keep::kInput, Keep::kContext, Keep::kAttention, Keep::kProducts}}, "mixed");
      expect_same({.keep = std::vector<Keep>(4, Keep::kInput), .mlp_rows = 256}, "chunks");
      expect_same({.keep = {Keep::kAttention}, .mlp_rows = 512, .head_rows = 32}, "a few chunks");
      expect_same({.keep = {}, .head_rows = 1024}, "few chunks of the head");
      expect_same(
          {.keep = std::vector<Keep>(4, Keep::kInput), .mlp_rows = 256, .stream_embedding = true, .streamed_blocks = 3},
          "streamed");
    }
  }
}

TEST(Schedule, CompactOptimizersFollowF32) {
  const Result exact = train_under({}, DType::kF32, false);
  for (const OptimizerKind kind : {OptimizerKind::kAdamWBf16, OptimizerKind::kAdamW8Bit}) {
    Schedule schedule;
    schedule.optimizer = kind;
    const Result compact = train_under(schedule, DType::kF32, false);
    EXPECT_EQ(compact.losses[0], exact.losses[0]);
    for (std::size_t i = 1; i < exact.losses.size(); ++i)
      EXPECT_NEAR(compact.losses[i], exact.losses[i], 5e-3 * exact.losses[i]);
    EXPECT_NE(compact.adapter, exact.adapter);
  }
}

}  // namespace
}  // namespace attune
