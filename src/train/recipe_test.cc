// Recipes: what is read, what is refused and with which words, and that the written recipe reads back.
#include "train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace attune {
namespace {

using testing::ElementsAre;
using testing::Pair;

const std::string kShort = "model: m\ndata: d\n";

Recipe parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_recipe(text, "r.yaml", overrides);
}

template <typename Error = UserError>
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Recipe, ModelAndDataAloneAreEnough) {
  const Recipe recipe = parse(kShort);
  EXPECT_EQ(recipe.model, "m");
  EXPECT_THAT(recipe.data, ElementsAre("d"));
  EXPECT_EQ(recipe.quantization, Quantization::kNF4);
  EXPECT_EQ(recipe.finetune, Finetune::kLora);
  EXPECT_EQ(recipe.lora.r, 16);
  EXPECT_EQ(recipe.train.learning_rate, 2e-4);
  EXPECT_EQ(recipe.train.lr_scheduler_type, LrScheduler::kCosine);
}

TEST(Recipe, ReadsEveryKindOfValue) {
  const Recipe recipe = parse(
      "model: models/base\n"
      "data: [chats/a, 'chats/b c']\n"
      "output: runs/one\n"
      "memory: 5GB\n"
      "compute: bf16\n"
      "quantization: int8\n"
      "lora:\n"
      "  r: 8\n"
      "  lora_alpha: 16.5\n"
      "  use_dora: false\n"  // asks for nothing
      "  bias: none\n"
      "  target_modules: [q_proj, v_proj]\n"
      "  rank_pattern: {layers.1.self_attn.q_proj: 4, k_proj: 2}\n"
      "  alpha_pattern:\n"
      "    k_proj: 2.5\n"
      "  init_lora_weights: gaussian\n"
      "train:\n"
      "  learning_rate: 1e-3\n"
      "  lr_scheduler_type: constant_with_warmup\n"
      "  packing: False\n"
      "  neftune_noise_alpha: null\n"  // null is the default
      "  gradient_checkpointing: true\n"
      "save: {save_steps: 7}\n");
  EXPECT_THAT(recipe.data, ElementsAre("chats/a", "chats/b c"));
  EXPECT_EQ(recipe.output, "runs/one");
  EXPECT_EQ(recipe.memory, 5'000'000'000u);
  EXPECT_EQ(recipe.compute, Compute::kBF16);
  EXPECT_EQ(recipe.quantization, Quantization::kInt8);
  EXPECT_EQ(recipe.lora.r, 8);
  EXPECT_EQ(recipe.lora.lora_alpha, 16.5);
  EXPECT_THAT(std::get<std::vector<std::string>>(recipe.lora.target_modules), ElementsAre("q_proj", "v_proj"));
  EXPECT_THAT(recipe.lora.rank_pattern, ElementsAre(Pair("layers.1.self_attn.q_proj", 4), Pair("k_proj", 2)));
  EXPECT_THAT(recipe.lora.alpha_pattern, ElementsAre(Pair("k_proj", 2.5)));
  EXPECT_EQ(recipe.lora.init_lora_weights, "gaussian");
  EXPECT_EQ(recipe.train.learning_rate, 1e-3);
  EXPECT_EQ(recipe.train.lr_scheduler_type, LrScheduler::kConstantWithWarmup);
  EXPECT_FALSE(recipe.train.packing);
  EXPECT_EQ(recipe.train.neftune_noise_alpha, 0.0);
  EXPECT_EQ(recipe.train.gradient_checkpointing, Checkpointing::kOn);
  EXPECT_EQ(recipe.save.save_steps, 7);
}

TEST(Recipe, OverridesWinAndAreYaml) {
  const Recipe recipe =
      parse(kShort + "lora: {r: 8}\n", {"lora.r=4", "lora.target_modules=[q_proj, o_proj]", "data=other",
                                        "train.seed=7", "lora.rank_pattern={k_proj: 2}"});
  EXPECT_EQ(recipe.lora.r, 4);
  EXPECT_THAT(std::get<std::vector<std::string>>(recipe.lora.target_modules), ElementsAre("q_proj", "o_proj"));
  EXPECT_THAT(recipe.data, ElementsAre("other"));
  EXPECT_EQ(recipe.train.seed, 7);
  EXPECT_THAT(recipe.lora.rank_pattern, ElementsAre(Pair("k_proj", 2)));
}

TEST(Recipe, FullTrainingHasItsOwnDefaults) {
  const Recipe recipe = parse(kShort + "finetune: full\n");
  EXPECT_EQ(recipe.quantization, Quantization::kNone);
  EXPECT_EQ(recipe.train.learning_rate, 2e-5);
  EXPECT_EQ(parse(kShort + "finetune: full\ntrain: {learning_rate: 0.1}\n").train.learning_rate, 0.1);
  EXPECT_EQ(refusal(kShort + "finetune: full\nquantization: nf4\nlora:\n  r: 8\n"),
            "[r.yaml:6] lora.r: expected no adapter with finetune: full; remove one of the two\n"
            "[r.yaml:4] quantization: expected none with finetune: full, since quantized weights cannot be "
            "trained; "
            "remove it");
}

TEST(Recipe, MemoryIsASize) {
  const auto memory = [](const std::string& text) { return parse(kShort + "memory: " + text).memory; };
  EXPECT_EQ(memory("auto"), 0u);
  EXPECT_EQ(memory("1.5GB"), 1'500'000'000u);
  EXPECT_EQ(memory("2GiB"), std::uint64_t{2} << 30);
  EXPECT_EQ(memory("4096B"), 4096u);
  EXPECT_EQ(refusal(kShort + "memory: 5"), "[r.yaml:3] memory: expected auto or a size such as 5GB or 512MiB, got 5");
  EXPECT_EQ(refusal(kShort + "memory: -5GB"),
            "[r.yaml:3] memory: expected auto or a size such as 5GB or 512MiB, got -5GB");
}

TEST(Recipe, UnknownKeysNameTheNearest) {
  EXPECT_EQ(refusal(kShort + "train:\n  learnig_rate: 1\n"),
            "[r.yaml:4] unknown key train.learnig_rate; did you mean train.learning_rate?");
  EXPECT_EQ(refusal(kShort + "learning_rate: 1\n"),
            "[r.yaml:3] unknown key learning_rate; did you mean train.learning_rate?");
  EXPECT_EQ(refusal(kShort + "trian:\n  seed: 1\n"), "[r.yaml:3] unknown key trian; did you mean train?");
  EXPECT_EQ(refusal(kShort + "train: {max_seq_length: 1}\n"),
            "[r.yaml:3] unknown key train.max_seq_length; did you mean train.max_length?");
  EXPECT_EQ(refusal(kShort + "zebra: 1\n"), "[r.yaml:3] unknown key zebra; attune train --help-recipe lists every key");
  EXPECT_EQ(refusal(kShort, {"lora.rr=4"}), "[--set lora.rr] unknown key lora.rr; did you mean lora.r?");
}

TEST(Recipe, WrongValuesSayWhatIsExpected) {
  EXPECT_EQ(refusal(kShort + "quantization: nf5\n"),
            "[r.yaml:3] quantization: expected none | nf4 | int8, got nf5; did you mean nf4?");
  EXPECT_EQ(refusal(kShort + "lora:\n  r: eight\n"),
            "[r.yaml:4] lora.r: expected a whole number from 1 to 4096, got eight");
  EXPECT_EQ(refusal(kShort + "lora: {r: 8.5}\n"), "[r.yaml:3] lora.r: expected a whole number from 1 to 4096, got 8.5");
  EXPECT_EQ(refusal(kShort + "lora: {r: \"8\"}\n"),
            "[r.yaml:3] lora.r: expected a whole number from 1 to 4096, got \"8\"");
  EXPECT_EQ(refusal(kShort + "lora: {r: 0}\n"), "[r.yaml:3] lora.r: expected a whole number from 1 to 4096, got 0");
  EXPECT_EQ(refusal(kShort + "lora: {lora_dropout: 1}\n"),
            "[r.yaml:3] lora.lora_dropout: expected a number from 0 below 1, got 1");
  EXPECT_EQ(refusal(kShort + "train: {learning_rate: inf}\n"),
            "[r.yaml:3] train.learning_rate: expected a number above 0 up to 1000, got inf");
  EXPECT_EQ(refusal(kShort + "train: {packing: yes}\n"), "[r.yaml:3] train.packing: expected true or false, got yes");
  EXPECT_EQ(refusal(kShort + "train: {seed: [1, 2]}\n"),
            "[r.yaml:3] train.seed: expected a whole number from 0 to 4294967295, got a list");
  EXPECT_EQ(refusal(kShort + "train: 3\n"),
            "[r.yaml:3] train: expected a group of keys, got 3; attune train --help-recipe lists every key");
  EXPECT_EQ(refusal(kShort + "lora: {rank_pattern: {q_proj: none}}\n"),
            "[r.yaml:3] lora.rank_pattern: expected a map from text to a whole number from 1 to 4096, got a map");
  EXPECT_EQ(refusal("data: []\nmodel: m\n"), "[r.yaml:1] data: expected text or a list of texts, got an empty list");
  EXPECT_EQ(refusal("data: d\nmodel: \"a\\nb\"\n"), "[r.yaml:2] model: expected text, got \"a\\nb\"");
  EXPECT_EQ(refusal(kShort, {"lora.r"}), "[--set] expected key=value, got \"lora.r\"; e.g. --set lora.r=8");
  EXPECT_EQ(refusal(kShort, {"lora=8"}), "[--set lora] expected a key, got a group; e.g. --set lora.r=8");
}

TEST(Recipe, MissingModelAndDataAreBothNamed) {
  EXPECT_EQ(refusal(""),
            "[r.yaml] model: expected the folder of a base model, got nothing; e.g. model: models/base\n"
            "[r.yaml] data: expected conversations, got nothing; e.g. data: data/chat (attune import makes it)");
}

TEST(Recipe, WhatThisBuildCannotHonourIsUnsupported) {
  EXPECT_EQ(refusal<Unsupported>(kShort + "lora:\n  use_dora: true\n"),
            "[r.yaml:4] lora.use_dora: DoRA is not supported; remove it, or raise lora.r instead");
  EXPECT_EQ(refusal<Unsupported>(kShort + "eval:\n  leak: true\n"),
            "[r.yaml:4] eval.leak: leaks are not measured while training; remove it");
  // With another kind of problem beside it, it is a plain UserError.
  EXPECT_THROW(
      try { parse(kShort + "lora: {bias: all}\nnonsense: 1\n"); } catch (const Unsupported&){}, UserError);
}

TEST(Recipe, StoppingByForgettingNeedsItMeasured) {
  EXPECT_TRUE(parse(to_yaml(parse(kShort + "eval: {early_stopping_forgetting: 0.05, general_text: mine.txt}\n"))) ==
              parse(kShort + "eval: {early_stopping_forgetting: 0.05, general_text: mine.txt}\n"));
  EXPECT_EQ(refusal(kShort + "eval: {early_stopping_forgetting: 0.05, forgetting_samples: 0}\n"),
            "[r.yaml:3] eval.early_stopping_forgetting: expected eval.forgetting_samples above 0 beside it, got 0; "
            "raise it");
  EXPECT_EQ(refusal(kShort + "finetune: full\neval: {early_stopping_forgetting: 0.05}\n"),
            "[r.yaml:4] eval.early_stopping_forgetting: expected an adapter, without which the model is the base, got "
            "finetune: full; remove it");
}

TEST(Recipe, Tracking) {
  const Recipe recipe = parse(kShort + "track: {mlflow: 'http://localhost:5000', tensorboard: true, run_name: Pete}\n");
  EXPECT_EQ(recipe.track.mlflow, "http://localhost:5000");
  EXPECT_EQ(recipe.track.tensorboard, "true");
  EXPECT_EQ(recipe.track.experiment, "attune");
  EXPECT_EQ(recipe.track.run_name, "Pete");
  EXPECT_TRUE(parse(to_yaml(recipe)) == recipe);
  // Nothing is sent unless the recipe says where.
  EXPECT_EQ(parse(kShort).track.mlflow, "");
  EXPECT_EQ(to_yaml(parse(kShort)).find("mlflow"), std::string::npos);
}

TEST(Recipe, WhatIsNotPlainYamlIsRefused) {
  EXPECT_EQ(refusal<BadFile>("model: [a\n"),
            "[r.yaml:2] expected YAML, got a syntax error: end of sequence flow not found; check indentation "
            "and quotes");
  EXPECT_EQ(refusal<BadFile>("model: &a m\ndata: *a\n"),
            "[r.yaml:1] expected plain YAML, got an anchor or alias (& or *); write the value out, or quote "
            "the text");
  EXPECT_EQ(refusal<BadFile>("model: !!str m\n"),
            "[r.yaml:1] expected plain YAML, got a tag (!); remove it, or quote the text");
  EXPECT_EQ(refusal<BadFile>("model: m\ndata: d\nmodel: n\n"),
            "[r.yaml:3] key model is given twice, first in line 1; remove one");
  EXPECT_EQ(refusal<BadFile>("model: m\n---\ndata: d\n"),
            "[r.yaml:2] expected one YAML document, got a second one; remove the line ---");
  EXPECT_EQ(refusal<BadFile>("model: " + std::string(9, '[') + std::string(9, ']')),
            "[r.yaml:1] expected at most 8 levels; flatten it");
  EXPECT_THROW(parse("model: " + std::string(100000, '[')), BadFile);
  EXPECT_THROW(parse("model: " + std::string(100000, '{')), BadFile);
  EXPECT_EQ(refusal<BadFile>(std::string(300000, '#')),
            "[r.yaml] expected at most 262144 bytes of YAML, got 300000; is this the right file?");
  EXPECT_EQ(refusal<BadFile>("model: \xff\n"), "[r.yaml] expected UTF-8, got other bytes; is this the right file?");
  EXPECT_EQ(refusal("- model\n"),
            "[r.yaml:1] expected lines of key: value, got a list; attune train --help-recipe lists every key\n"
            "[r.yaml] model: expected the folder of a base model, got nothing; e.g. model: models/base\n"
            "[r.yaml] data: expected conversations, got nothing; e.g. data: data/chat (attune import makes it)");
}

TEST(Recipe, TheWrittenRecipeReadsBackEqual) {
  Recipe recipe;
  recipe.model = "C:\\models\\\"árvíztűrő\" tükör: #1";
  recipe.data = {"a", "- b", "true", "5"};
  recipe.output = "runs/x";
  recipe.memory = (std::uint64_t{3} << 30) + 1;
  recipe.lora.target_modules = std::string(R"(.*\.(q|v)_proj)");
  recipe.lora.rank_pattern = {{"layers.0.q_proj", 4}, {"a: b", 5}};
  recipe.lora.alpha_pattern = {{"x", 1.0 / 3.0}};
  recipe.train.learning_rate = 1.0 / 30000.0;
  recipe.train.gradient_checkpointing = Checkpointing::kOff;
  const Recipe again = parse(to_yaml(recipe));
  EXPECT_EQ(to_yaml(again), to_yaml(recipe));
  EXPECT_EQ(again.model, recipe.model);
  EXPECT_EQ(again.data, recipe.data);
  EXPECT_EQ(again.memory, recipe.memory);
  EXPECT_EQ(again.lora.rank_pattern, recipe.lora.rank_pattern);
  EXPECT_EQ(again.lora.alpha_pattern, recipe.lora.alpha_pattern);
  EXPECT_EQ(again.train.learning_rate, recipe.train.learning_rate);
  EXPECT_TRUE(again == recipe);
  EXPECT_FALSE(again == parse(kShort));

  const Recipe full = parse(kShort + "finetune: full\n");
  EXPECT_TRUE(parse(to_yaml(full)) == full);
}

TEST(Recipe, HubKeysNeedARepository) {
  EXPECT_EQ(refusal(kShort + "hub: {strategy: best}\n"),
            "[r.yaml:3] hub.strategy: expected hub.repo beside it; e.g. repo: me/my-model");
  const Recipe recipe = parse(kShort + "hub: {repo: me/pete, strategy: end, private: false, branch_per_step: true}\n");
  EXPECT_EQ(recipe.hub.repo, "me/pete");
  EXPECT_EQ(recipe.hub.strategy, HubStrategy::kEnd);
  EXPECT_FALSE(recipe.hub.is_private);
  EXPECT_TRUE(recipe.hub.branch_per_step);
  EXPECT_TRUE(recipe.hub.tag_per_step);
  EXPECT_TRUE(parse(to_yaml(recipe)) == recipe);
  EXPECT_EQ(to_yaml(parse(kShort)).find("hub"), std::string::npos);
}

TEST(Recipe, FileGivesTheRunItsName) {
  const fs::path file = fs::temp_directory_path() / fmt::format("recipe_test_{}.yaml", ::getpid());
  write_file_atomic(file, kShort);
  EXPECT_EQ(load_recipe(file, {}).output, "runs/" + file.stem().string());
  fs::remove(file);
  EXPECT_THROW(load_recipe(file, {}), UserError);
}

TEST(Recipe, TheDocumentIsTheReference) {
  EXPECT_EQ(read_file(fs::path(ATTUNE_SOURCE_DIR) / "docs/RECIPE.md"), recipe_reference())
      << "write it anew with: attune train --help-recipe > docs/RECIPE.md";
}

}  // namespace
}  // namespace attune
