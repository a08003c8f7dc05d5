// Adapters: PEFT's own folders (tests/golden), PEFT's rules, and folders that do not fit.
#include "adapter/lora.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <set>

#include "adapter/pattern.h"
#include "adapter/peft_config.h"
#include "base/error_of.h"
#include "format/safetensors.h"

namespace attune {
namespace {

const fs::path kGolden = fs::path(ATTUNE_SOURCE_DIR) / "tests/golden";

struct Scratch {
  fs::path path = fs::path(testing::TempDir()) / fmt::format("attune-adapter-{}", ::getpid());
  Scratch() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Scratch() { fs::remove_all(path); }
};

ModelConfig golden_config(const char* name = "llama2") { return load_model_config(kGolden / name / "model"); }

std::vector<std::string> paths(const LoraConfig& config) {
  std::vector<std::string> result;
  for (const AdapterTarget& target : find_targets(golden_config(), config, "lora")) result.push_back(target.path);
  return result;
}

TEST(Targets, FollowPeftsRules) {
  using List = std::vector<std::string>;
  EXPECT_EQ(paths({.target_modules = "all-linear"}).size(), 14u);
  EXPECT_EQ(paths({.target_modules = List{"q_proj", "v_proj"}}).size(), 4u);
  EXPECT_EQ(paths({.target_modules = List{"model.layers.1.mlp.up_proj"}}), List{"model.layers.1.mlp.up_proj"});
  EXPECT_EQ(paths({.target_modules = List{"mlp.up_proj"}}).size(), 2u);
  EXPECT_EQ(paths({.target_modules = R"(.*\.0\.self_attn\.(q|k)_proj)"}),
            (List{"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj"}));
  EXPECT_EQ(error_of([] { paths({.target_modules = "q_proj"}); }),  // a string matches whole paths
            "[lora] target_modules matches no linear layer; names are q_proj, k_proj, v_proj, o_proj, gate_proj, "
            "up_proj, down_proj");
  EXPECT_EQ(error_of([] { paths({.target_modules = List{"q_prj"}}); }),
            "[lora] target_modules matches no linear layer; names are q_proj, k_proj, v_proj, o_proj, gate_proj, "
            "up_proj, down_proj; did you mean q_proj?");
  EXPECT_EQ(error_of([] { paths({.target_modules = List{"proj"}}); }).find("[lora] target_modules matches no"), 0u)
      << "suffixes end at a dot";
}

TEST(Targets, RefuseHeadEmbeddingAndSenselessNumbers) {
  using List = std::vector<std::string>;
  EXPECT_EQ(error_of([] {
              paths({.target_modules = List{"q_proj", "lm_head"}});
            }),
            "[lora] target_modules matches lm_head; only the linear layers inside the blocks can be adapted");
  EXPECT_EQ(error_of([] { paths({.target_modules = ".*"}); }),
            "[lora] target_modules matches lm_head; only the linear layers inside the blocks can be adapted");
  EXPECT_EQ(error_of([] { paths({.target_modules = List{"embed_tokens"}}); }),
            "[lora] target_modules matches model.embed_tokens; only the linear layers inside the blocks can "
            "be adapted");
  EXPECT_EQ(error_of([] { paths({.r = 0}); }),
            "[lora] r of model.layers.0.self_attn.q_proj: expected an integer from 1 to 65536, got 0");
  EXPECT_EQ(error_of([] { paths({.lora_dropout = 1.0}); }),
            "[lora] lora_dropout: expected a number from 0 to below 1, got 1");
  EXPECT_EQ(error_of([] { paths({.target_modules = "(q"}); }),
            "[lora: target_modules] regular expression \"(q\" is wrong at character 2: missing closing "
            "parenthesis");
}

TEST(Targets, HostileExpressionsEndInTime) {
  const std::string path = std::string(400, 'a') + "cb";
  EXPECT_EQ(error_of([&] { Pattern("(a|aa)+b", "here").matches(path); }),
            "[here] regular expression \"(a|aa)+b\" takes too long to match; simplify it");
}

TEST(Targets, PatternsDecideRankAndScaleFirstMatchWins) {
  LoraConfig config{.r = 4, .lora_alpha = 8};
  config.rank_pattern = {{"q_proj", 8}, {R"(model\.layers\.0\..*)", 16}, {"layers.1.mlp.down_proj", 2}};
  config.alpha_pattern = {{"down_proj", 6}};
  const auto targets = find_targets(golden_config(), config, "lora");
  const auto target = [&](const std::string& path) {
    for (const AdapterTarget& candidate : targets) {
      if (candidate.path == "model.layers." + path) return candidate;
    }
    throw std::runtime_error(path);
  };
  EXPECT_EQ(target("0.self_attn.q_proj").rank, 8);
  EXPECT_EQ(target("0.self_attn.q_proj").scale, 1.0f);
  EXPECT_EQ(target("0.self_attn.k_proj").rank, 16);
  EXPECT_EQ(target("0.mlp.down_proj").scale, 6.0f / 16.0f);
  EXPECT_EQ(target("1.mlp.down_proj").rank, 2);
  EXPECT_EQ(target("1.mlp.down_proj").scale, 3.0f);
  EXPECT_EQ(target("1.mlp.up_proj").scale, 2.0f);
  config.use_rslora = true;
  EXPECT_EQ(find_targets(golden_config(), config, "lora")[1].scale,
            8.0f / 4.0f);  // k_proj of layer 0: 8 / sqrt(16)
}

TEST(Adapter, ReadsWhatPeftWroteAndWritesTheSameTensors) {
  const Scratch scratch;
  for (const char* const name : {"llama2", "llama3", "mistral", "qwen2", "qwen3"}) {
    SCOPED_TRACE(name);
    Model model = load_model(kGolden / name / "model", Quantization::kNone);
    const Adapter adapter = Adapter::load(model, kGolden / name / "adapter", true);
    adapter.save(scratch.path);
    const auto bytes = [](const fs::path& folder) { return read_file(folder / "adapter_model.safetensors"); };
    EXPECT_EQ(bytes(scratch.path), bytes(kGolden / name / "adapter"));  // the whole file, header included
    const auto config = [](const fs::path& folder) {
      return parse_sorted_json(read_file(folder / "adapter_config.json"), "adapter_config.json");
    };
    const SortedJson ours = config(scratch.path), theirs = config(kGolden / name / "adapter");
    for (const auto& [key, value] : ours.items()) {
      if (key == "target_modules") {  // PEFT writes a set
        EXPECT_EQ(value.get<std::set<std::string>>(), theirs[key].get<std::set<std::string>>());
      } else {
        EXPECT_EQ(value, theirs[key]) << key;
      }
    }
    for (const AdapterParameter& parameter : adapter.parameters()) {
      EXPECT_EQ(parameter.gradient.shape, parameter.value.shape);
    }
  }
}

TEST(Adapter, FreshValuesFollowPeft) {
  Model model = load_model(kGolden / "llama2/model", Quantization::kNF4);
  for (const std::string init : {"true", "gaussian"}) {
    const Adapter adapter = Adapter::create(model, {.r = 16, .init_lora_weights = init}, 5, true);
    double squares = 0, largest = 0;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < adapter.parameters().size(); i += 2) {
      const TensorView a = adapter.parameters()[i].value, b = adapter.parameters()[i + 1].value;
      for (std::int64_t k = 0; k < b.elements(); ++k) ASSERT_EQ(b.as<float>()[k], 0.0f);
      const double unit = init == "true" ? 1.0 / std::sqrt(static_cast<double>(a.columns())) : 1.0 / 16;
      for (std::int64_t k = 0; k < a.elements(); ++k) {
        const double x = a.as<float>()[k] / unit;
        squares += x * x;
        largest = std::max(largest, std::fabs(x));
        ++count;
      }
    }
    const double variance = squares / static_cast<double>(count);
    const double expected = init == "true" ? 1.0 / 3 : 1.0;  // and the variance of x^2 is 4/45 or 2
    const double spread = init == "true" ? 4.0 / 45 : 2.0;
    EXPECT_NEAR(variance, expected, 5 * std::sqrt(spread / static_cast<double>(count)));
    if (init == "true") {
      EXPECT_LE(largest, 1.0);
      EXPECT_GT(largest, 0.99);
    }
    MemoryPlan plan;
    plan_adapter(plan, model.config, adapter.config(), true);
    EXPECT_EQ(plan.bytes_of(BufferKind::kAdapter), static_cast<std::size_t>(4 * adapter.parameter_count()));
    EXPECT_EQ(plan.bytes_of(BufferKind::kGradients), static_cast<std::size_t>(4 * adapter.parameter_count()));
  }
  const Adapter one = Adapter::create(model, {}, 5, false), two = Adapter::create(model, {}, 5, false),
                other = Adapter::create(model, {}, 6, false);
  const TensorView a = one.parameters()[0].value;
  EXPECT_TRUE(one.parameters()[0].gradient.empty());
  EXPECT_EQ(std::memcmp(a.data, two.parameters()[0].value.data, a.bytes()), 0);
  EXPECT_NE(std::memcmp(a.data, other.parameters()[0].value.data, a.bytes()), 0);
  EXPECT_EQ(error_of([&] { Adapter::create(model, {.init_lora_weights = "pissa"}, 5, true); }),
            "[lora] init_lora_weights: expected true or gaussian, got pissa");
}

TEST(Adapter, AttachesAndDetaches) {
  Model model = load_model(kGolden / "mistral/model", Quantization::kNone);
  const Adapter adapter = Adapter::load(model, kGolden / "mistral/adapter", false);
  const LoraPair& pair = model.blocks[1][Slot::kV].lora;
  EXPECT_EQ(pair.rank, 4);
  EXPECT_EQ(pair.scale, 2.0f);
  EXPECT_EQ(pair.a.shape, (Shape{4, 64}));
  EXPECT_EQ(pair.b.shape, (Shape{48, 4}));
  EXPECT_EQ(pair.stream, 3u);
  EXPECT_EQ(model.blocks[0][Slot::kO].lora.rank, 0);
  Adapter::detach(model);
  EXPECT_EQ(model.blocks[1][Slot::kV].lora.rank, 0);
  adapter.attach(model);
  EXPECT_EQ(model.blocks[1][Slot::kV].lora.rank, 4);
}

std::string load_error(const char* model_name, const fs::path& folder) {
  return error_of([&] {
    Model model = load_model(kGolden / model_name / "model", Quantization::kNone);
    Adapter::load(model, folder, false);
  });
}

TEST(BadAdapter, MadeForAnotherBase) {
  const auto file = [](const char* name) { return (kGolden / name / "adapter/adapter_model.safetensors").string(); };
  EXPECT_EQ(load_error("llama3", kGolden / "llama2/adapter"),
            fmt::format("[{}: tensor base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight] expected shape "
                        "[16, 4], got [64, 4]; the adapter was made for another base model",
                        file("llama2")));
  EXPECT_EQ(load_error("qwen3", kGolden / "mistral/adapter"),
            fmt::format("[{}] tensor base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight is missing; the "
                        "adapter was made for another base model",
                        file("mistral")));
  EXPECT_EQ(load_error("llama2", "/no/such"), "[/no/such] no such folder; expected a PEFT adapter");
}

TEST(BadAdapter, MoreTensorsThanTargets) {
  const Scratch scratch;
  fs::copy(kGolden / "llama2/adapter", scratch.path, fs::copy_options::recursive);
  const fs::path path = scratch.path / "adapter_config.json";
  Json config = parse_json(read_file(path), "config");
  config["target_modules"] = {"q_proj"};
  write_file_atomic(path, config.dump());
  EXPECT_EQ(load_error("llama2", scratch.path),
            fmt::format("[{}: tensor base_model.model.model.layers.0.mlp.down_proj.lora_A.weight] belongs to no module "
                        "that adapter_config.json targets in this model; the adapter was made for another base model",
                        (scratch.path / "adapter_model.safetensors").string()));
}

TEST(BadAdapter, OptionsThatChangeTheResultAreRefused) {
  const Json plain = parse_json(read_file(kGolden / "llama2/adapter/adapter_config.json"), "config");
  const auto error = [&](const char* key, const Json& value) {
    Json config = plain;
    config[key] = value;
    return error_of([&] { lora_config_from_json(config, "adapter_config.json"); });
  };
  for (const auto& [key, value] : std::vector<std::pair<const char*, Json>>{{"use_dora", true},
                                                                            {"modules_to_save", {"lm_head"}},
                                                                            {"lora_bias", true},
                                                                            {"use_qalora", true},
                                                                            {"layers_to_transform", {0}},
                                                                            {"exclude_modules", "q_proj"},
                                                                            {"trainable_token_indices", {1}}}) {
    EXPECT_EQ(error(key, value),
              fmt::format("[adapter_config.json] key \"{}\" is not supported; expected it off", key));
  }
  EXPECT_EQ(error("peft_type", "IA3"), "[adapter_config.json] peft_type \"IA3\" is not supported; expected LORA");
  EXPECT_EQ(error("bias", "all"), "[adapter_config.json] key \"bias\": \"all\" is not supported; expected none");
  EXPECT_EQ(error("init_lora_weights", "pissa"),
            "[adapter_config.json] key \"init_lora_weights\": \"pissa\" changes the base weights; convert "
            "the adapter "
            "to plain LoRA");
  EXPECT_EQ(error("r", "four"), "[adapter_config.json] key \"r\": expected an integer, got string");
  EXPECT_EQ(error("target_modules", {1, 2}),
            "[adapter_config.json] key \"target_modules\": expected names or one string");
  EXPECT_EQ(error("rank_pattern", {{"q_proj", 1.5}}),
            "[adapter_config.json: rank_pattern] key \"q_proj\": expected an integer, got a number");
  EXPECT_EQ(error("a_key_of_the_future", 1), "no error");
}

}  // namespace
}  // namespace attune
