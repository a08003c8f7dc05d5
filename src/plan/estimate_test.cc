// Time and cost: arithmetic by hand where it is simple, proportions elsewhere.
#include "plan/estimate.h"

#include <gtest/gtest.h>

namespace attune {
namespace {

Plan plan_of(const std::string& shape, const std::vector<std::string>& settings) {
  const Recipe recipe = parse_recipe("model: m\ndata: d\ncompute: bf16\n", "recipe", settings);
  return make_plan(read_model_source(shape), recipe, nullptr);
}

MachineProfile machine() {
  MachineProfile m;
  m.speed = {1e12, 1e15, 1e15, 1e15, 1e9};  // only products and the disk take time
  m.price_per_hour = 2;
  return m;
}

TEST(Estimate, ProductsAreFourFlopsAWeightAndToken) {
  const Plan plan = plan_of("mistral-7b", {"train.max_length=2048"});
  const Estimate e = estimate(plan, plan.run, machine());
  const double linears = 6'979'321'856, adapter = 41'943'040, head = 4096.0 * 32000;
  EXPECT_NEAR(e.pass.products, 2048 * (4 * linears + 6 * adapter + 4 * head) / 1e12, 1e-6);
  EXPECT_NEAR(e.tokens_per_second, 2048 / e.pass.total(), 1e-9);
  EXPECT_FALSE(e.seconds.has_value());
}

TEST(Estimate, TheReferenceJob) {
  // 80,000 messages in conversations of five, 175 tokens each; three epochs are about a thousand steps.
  Plan plan = plan_of("mistral-7b", {"memory=5GB"});
  plan.data = imagined_data(plan.model.config, plan.recipe.train, 16'000, 175);
  EXPECT_EQ(plan.data->tokens, 2'800'000);
  EXPECT_EQ(plan.data->steps, 1026);
  const Estimate e = estimate(plan, plan.run, machine());
  ASSERT_TRUE(e.seconds.has_value());
  EXPECT_NEAR(*e.seconds, 3 * 2'800'000 / e.tokens_per_second, 1e-6);
  EXPECT_NEAR(e.money, 2 * *e.seconds / 3600, 1e-9);
}

TEST(Estimate, StreamedWeightsAreReadTwiceAPass) {
  const Plan plan = plan_of("mistral-7b", {"memory=2GB", "train.max_length=512"});
  const Schedule& schedule = plan.run.schedule;
  ASSERT_GT(schedule.streamed_blocks, 0);
  const Estimate e = estimate(plan, plan.run, machine());
  EXPECT_EQ(e.streamed_bytes,
            2.0 * static_cast<double>(schedule.streamed_blocks) * static_cast<double>(plan.needs.block_bytes));
  EXPECT_NEAR(e.pass.streaming, e.streamed_bytes / 1e9, 1e-9);
}

TEST(Estimate, ASweepNeverFalls) {
  const Plan plan = plan_of("llama-250m", {"train.max_length=2048", "train.optim=adamw"});
  MachineProfile nominal;
  nominal.speed = kNominalMachine;
  const auto rows = sweep(plan, nominal, 8);
  ASSERT_EQ(rows.size(), 8u);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LE(rows[i].run.memory.total(), rows[i].budget);
    if (i == 0) continue;
    EXPECT_GE(rows[i].estimate.tokens_per_second, rows[i - 1].estimate.tokens_per_second);
  }
  EXPECT_GT(rows.back().estimate.tokens_per_second, rows.front().estimate.tokens_per_second);
}

}  // namespace
}  // namespace attune
