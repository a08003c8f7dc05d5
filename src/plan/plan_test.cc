// The plan's numbers against arithmetic done by hand from the published shapes, and against what loading a model and
// making an adapter really allocates.
#include "plan/plan.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "plan/plan_json.h"

namespace attune {
namespace {

// config.json of mistralai/Mistral-7B-v0.1.
constexpr const char* kMistral = R"({
  "architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
  "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768,
  "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false,
  "torch_dtype": "bfloat16", "transformers_version": "4.34.0.dev0", "use_cache": true, "vocab_size": 32000})";

Recipe recipe_with(const std::vector<std::string>& settings = {}) {
  return parse_recipe("model: m\ndata: d\ncompute: bf16\n", "recipe", settings);
}

ModelSource mistral() {
  return {"mistral", model_config_from_json(parse_json(kMistral, "config.json"), "config.json"), DType::kBF16};
}

Plan shape_plan(const std::string& shape, const std::vector<std::string>& settings = {}) {
  return make_plan(read_model_source(shape), recipe_with(settings), nullptr);
}

TEST(Plan, Mistral7B) {
  const Plan plan = make_plan(mistral(), recipe_with(), nullptr);
  EXPECT_EQ(plan.parameters, 7'241'732'096);
  EXPECT_EQ(plan.linear_parameters, 6'979'321'856);
  EXPECT_EQ(plan.trained_parameters, 41'943'040);
  EXPECT_NEAR(plan.trained_share(), 0.00579, 0.00001);
  EXPECT_EQ(plan.weights.f32, 28'966'928'384u);
  EXPECT_EQ(plan.weights.bf16, 14'483'996'672u);  // norms in f32
  EXPECT_EQ(plan.weights.int8, 7'510'179'840u);
  EXPECT_EQ(plan.weights.nf4, 4'125'769'728u);  // half a byte, one code per 64 and one f32 per 64 * 256 weights
  EXPECT_EQ(plan.run.memory.weights, plan.weights.nf4);
  EXPECT_EQ(plan.run.memory.adapter, 41'943'040u * 4);
  EXPECT_EQ(plan.run.memory.gradients, 41'943'040u * 4);
  EXPECT_EQ(plan.run.arena.bytes_of(BufferKind::kOptimizer), 41'943'040u * 8);
}

TEST(Plan, ParametersOfPublishedShapes) {
  EXPECT_EQ(shape_plan("qwen2.5-0.5b").parameters, 494'032'768);    // tied, with q, k and v biases
  EXPECT_EQ(shape_plan("llama-3.2-1b").parameters, 1'235'814'400);  // tied
  EXPECT_EQ(shape_plan("llama-250m").parameters, 245'924'864);
  EXPECT_EQ(shape_plan("qwen2.5-0.5b").weights.nf4, 457'147'200u);
  EXPECT_EQ(shape_plan("llama-250m").trained_parameters, 4'653'056);
}

TEST(Plan, ActivationsKeptPerToken) {
  // llama-250m in bf16: C 1024, H D 1024, K D 256, F 2816, R 16, 16 heads. Elements of two bytes, statistics of four.
  const Plan plan = shape_plan("llama-250m", {"train.max_length=512"});
  const PassOptions options = pass_options(plan.needs, plan.recipe, plan.run.schedule);
  const auto per_token = [&](Keep keep) { return kept_bytes(plan.model.config, options, 0, keep) / 512; };
  EXPECT_EQ(per_token(Keep::kAll), 2u * (3 * 1024 + 2 * 1024 + 2 * 256 + 3 * 2816 + 7 * 16) + 4 * (2 + 16));
  EXPECT_EQ(per_token(Keep::kProducts), 2u * (1024 + 2 * 1024 + 2 * 256 + 2 * 2816 + 7 * 16) + 4 * 16);
  EXPECT_EQ(per_token(Keep::kAttention), 2u * (1024 + 2 * 1024 + 2 * 256 + 4 * 16) + 4 * 16);
  EXPECT_EQ(per_token(Keep::kContext), 2u * 1024 + 4 * 16);
  EXPECT_EQ(per_token(Keep::kInput), 0u);
}

TEST(Plan, BuffersThatLiveOneAfterTheOtherShareBytes) {
  const Plan plan = shape_plan("llama-250m", {"train.max_length=2048", "train.gradient_checkpointing=true"});
  Schedule schedule = plan.run.schedule;
  schedule.head_rows = 256;  // a larger chunk of the head would be most of what is left
  const MemoryPlan arena = plan_run(plan.needs, plan.recipe, schedule).arena;
  std::size_t always = 0, in_turn = 0;
  for (const BufferPlan& buffer : arena.buffers()) {
    (buffer.lifetime.end == Lifetime{}.end ? always : in_turn) += buffer.bytes;
  }
  EXPECT_LT(arena.arena_bytes() - always, in_turn / 2);
}

TEST(Plan, AdapterFollowsTargetsAndRanks) {
  // q_proj: 1024 -> 1024, v_proj: 1024 -> 256, in 16 blocks.
  const std::int64_t q = 8 * (1024 + 1024), v = 8 * (1024 + 256);
  EXPECT_EQ(shape_plan("llama-250m", {"lora.r=8", "lora.target_modules=[q_proj, v_proj]"}).trained_parameters,
            16 * (q + v));
  const Plan plan =
      shape_plan("llama-250m", {"lora.r=8", "lora.target_modules=[q_proj, v_proj]", "lora.rank_pattern={v_proj: 24}"});
  EXPECT_EQ(plan.trained_parameters, 16 * (q + 3 * v));
  EXPECT_EQ(adapted_modules(plan), (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(adapted_blocks(plan), 16);
}

TEST(Plan, FullTrainingHoldsFourCopies) {
  const Plan plan = shape_plan("llama-250m", {"finetune=full"});
  const std::size_t copy = 4u * 245'924'864;
  EXPECT_EQ(plan.trained_parameters, plan.parameters);
  EXPECT_EQ(plan.run.memory.weights, copy);
  EXPECT_EQ(plan.run.memory.adapter, 0u);
  EXPECT_EQ(plan.run.memory.gradients, copy);
  EXPECT_EQ(plan.run.arena.bytes_of(BufferKind::kOptimizer), 2 * copy);
}

TEST(Plan, RecomputesNoMoreThanTheBudgetAsks) {
  const std::size_t kept = shape_plan("llama-250m").kept.memory.total();
  const std::size_t least = shape_plan("llama-250m").recomputed.memory.total();
  const auto blocks = [](std::size_t budget) {
    const Plan plan = shape_plan("llama-250m", {"memory=" + std::to_string(budget) + "B"});
    EXPECT_TRUE(plan.fits()) << budget;
    return plan.run.memory.recomputed_blocks;
  };
  EXPECT_EQ(blocks(kept), 0);
  EXPECT_GT(blocks((kept + least) / 2), 0);
  EXPECT_EQ(blocks(least), 16);
  EXPECT_FALSE(shape_plan("llama-250m", {"memory=" + std::to_string(least - 1) + "B"}).fits());
}

std::string refusal(const Plan& plan) {
  try {
    check_budget(plan.run, plan.needs, plan.recipe);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(Plan, NearestFitIsTrueAndNamesSettings) {
  const auto refused = [](std::vector<std::string> settings) {
    const Plan plan = shape_plan("llama-250m", settings);
    EXPECT_FALSE(plan.fits());
    const auto fit = nearest_fit(plan.needs, plan.recipe);
    EXPECT_TRUE(fit.has_value());
    settings.insert(settings.end(), fit->settings.begin(), fit->settings.end());
    const Plan changed = shape_plan("llama-250m", settings);
    EXPECT_TRUE(changed.fits());
    EXPECT_EQ(changed.run.memory.total(), fit->bytes);
    return fit->settings;
  };
  using Settings = std::vector<std::string>;
  EXPECT_EQ(refused({"train.gradient_checkpointing=false", "memory=400MB"}),
            Settings{"train.gradient_checkpointing=auto"});
  EXPECT_EQ(refused({"train.per_device_train_batch_size=8", "memory=400MB"}),
            Settings{"train.per_device_train_batch_size=4"});
  const Settings shorter = refused({"train.max_length=8192", "memory=300MB"});
  ASSERT_EQ(shorter.size(), 1u);
  EXPECT_TRUE(shorter[0].starts_with("train.max_length=")) << shorter[0];
  const Settings quantized = refused({"quantization=none", "memory=143MB"});  // no rows are short enough without
  ASSERT_EQ(quantized.size(), 2u);
  EXPECT_EQ(quantized[0], "quantization=nf4");
  EXPECT_TRUE(quantized[1].starts_with("train.max_length=")) << quantized[1];
}

TEST(Plan, RefusalIsOneLine) {
  EXPECT_EQ(refusal(shape_plan("llama-250m")), "");
  EXPECT_EQ(
      refusal(shape_plan("llama-250m", {"memory=1MB"})),
      "[memory] the run needs 171.4 MB and the budget is 1.0 MB; no shorter rows or smaller batches fit: raise the "
      "budget or choose a smaller model");
}

TEST(Plan, UnknownModelIsNamed) {
  try {
    read_model_source("llama-250");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()),
              "[llama-250] expected a model folder, a config.json or one of the shapes llama-250m, qwen2.5-0.5b, "
              "llama-3.2-1b, mistral-7b, got nothing there; did you mean llama-250m?");
  }
}

TEST(Plan, JsonBuffersAddUpToTheGroups) {
  const Plan plan = shape_plan("llama-250m");
  const Json json = to_json(plan, true);
  std::map<std::string, std::size_t> bytes;
  for (const Json& buffer : json["buffers"]) bytes[buffer["kind"]] += buffer["bytes"].get<std::size_t>();
  for (const char* const kind : {"weights", "adapter", "gradients", "optimizer", "activations", "scratch"}) {
    EXPECT_EQ(json["bytes"][kind], bytes[kind]) << kind;
  }
  EXPECT_EQ(json["planned_peak_bytes"], plan.run.memory.total());
  EXPECT_FALSE(to_json(plan, false).contains("buffers"));
}

// The real thing, family by family and format by format.
TEST(Plan, AgreesWithWhatTrainingHolds) {
  for (const char* const family : {"llama2", "llama3", "mistral", "qwen2", "qwen3"}) {
    const std::string folder = std::string(ATTUNE_SOURCE_DIR "/tests/golden/") + family + "/model";
    for (const char* const quantization : {"none", "int8", "nf4"}) {
      const Recipe recipe = recipe_with({std::string("quantization=") + quantization, "train.max_length=96"});
      const Plan plan = make_plan(read_model_source(folder), recipe, nullptr);
      Model model = load_model(folder, recipe.quantization);
      const Adapter adapter = Adapter::create(model, recipe.lora, 1, true);
      const RunNeeds needs = run_needs(model, &adapter, plan.needs.pass_tokens);
      const RunPlan run = schedule_run(needs, recipe);
      EXPECT_EQ(plan.run.memory.weights, run.memory.weights) << family << " " << quantization;
      EXPECT_EQ(plan.run.memory.total(), run.memory.total()) << family << " " << quantization;
      ASSERT_EQ(plan.needs.parameters.size(), needs.parameters.size());
      for (std::size_t i = 0; i < needs.parameters.size(); ++i) {
        EXPECT_EQ(plan.needs.parameters[i].name, needs.parameters[i].name);
        EXPECT_EQ(plan.needs.parameters[i].value.shape, needs.parameters[i].value.shape);
      }
    }
    const Recipe full = recipe_with({"finetune=full"});
    const Plan plan = make_plan(read_model_source(folder), full, nullptr);
    const Model model = load_trainable_model(folder);
    EXPECT_EQ(plan.run.memory.total(),
              schedule_run(run_needs(model, nullptr, plan.needs.pass_tokens), full).memory.total())
        << family;
  }
}

}  // namespace
}  // namespace attune
