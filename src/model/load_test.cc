// Reading model folders: the golden folders of transformers and bitsandbytes, and folders that are wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error_of.h"
#include "format/safetensors.h"
#include "model/tensors.h"
#include "model/weights.h"
#include "quant/nf4.h"

namespace attune {
namespace {

const fs::path kGolden = fs::path(ATTUNE_SOURCE_DIR) / "tests/golden";

// A folder of its own for each test, removed at the end.
struct Scratch {
  fs::path path = fs::path(testing::TempDir()) / fmt::format("attune-model-{}", ::getpid());
  Scratch() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Scratch() { fs::remove_all(path); }
  fs::path copy_of(const std::string& golden) const {
    const fs::path folder = path / "model";
    fs::remove_all(folder);
    fs::copy(kGolden / golden, folder);
    return folder;
  }
};

Json read_json(const fs::path& path) { return parse_json(read_file(path), path.string()); }

// config.json of a golden folder with one key changed; erased when the value is discarded.
Json changed(const std::string& golden, const char* key, const Json& value) {
  Json config = read_json(kGolden / golden / "config.json");
  if (value.is_discarded())
    config.erase(key);
  else
    config[key] = value;
  return config;
}
ModelConfig parse(const Json& config) { return model_config_from_json(config, "config.json"); }

std::string config_error(const Json& config) {
  return error_of([&] { parse(config); });
}

std::vector<float> all_values(const WeightMatrix& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.rows * weight.columns));
  decode_rows({values.data(), DType::kF32, {weight.rows, weight.columns}}, weight, 0);
  return values;
}
std::vector<float> floats_of(const TensorView& view) { return {view.as<float>(), view.as<float>() + view.elements()}; }

TEST(ModelConfig, ReadsEveryFamilyInOldAndNewForm) {
  const ModelConfig llama2 = load_model_config(kGolden / "llama2/model");
  EXPECT_EQ(llama2.family, Family::kLlama);
  EXPECT_EQ(llama2.intermediate_size, 172);
  EXPECT_EQ(llama2.rope_theta, 10000.0);
  EXPECT_EQ(llama2.rope_scaling.kind, RopeScaling::Kind::kNone);
  EXPECT_FALSE(llama2.tie_word_embeddings || llama2.qkv_bias || llama2.qk_norm);
  for (const char* const form : {"llama3/model", "llama3/model_bnb_nf4"}) {  // rope_scaling, rope_parameters
    const ModelConfig llama3 = load_model_config(kGolden / form);
    EXPECT_EQ(llama3.rope_theta, 500.0);
    EXPECT_EQ(llama3.rope_scaling.kind, RopeScaling::Kind::kLlama3);
    EXPECT_EQ(llama3.rope_scaling.factor, 8.0);
    EXPECT_EQ(llama3.rope_scaling.original_max_position, 64);
    EXPECT_TRUE(llama3.tie_word_embeddings);
    EXPECT_EQ(llama3.kv_heads, 2);
  }
  const ModelConfig mistral = load_model_config(kGolden / "mistral/model");
  EXPECT_EQ(mistral.family, Family::kMistral);
  EXPECT_EQ(mistral.head_dim, 24);
  EXPECT_EQ(mistral.sliding_window, 16);
  EXPECT_EQ(mistral.full_attention_layers, 0);
  const ModelConfig qwen2 = load_model_config(kGolden / "qwen2/model");
  EXPECT_EQ(qwen2.family, Family::kQwen2);
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.output_bias || qwen2.mlp_bias);
  EXPECT_EQ(qwen2.head_dim, 16);
  EXPECT_EQ(qwen2.sliding_window, 0);
  const ModelConfig qwen3 = load_model_config(kGolden / "qwen3/model");
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_EQ(qwen3.layers, 3);
}

TEST(ModelConfig, SlidingWindowOfQwen) {
  Json config = changed("qwen2/model", "use_sliding_window", true);
  config["sliding_window"] = 8;
  config["layer_types"] = nullptr;
  config["max_window_layers"] = 1;
  EXPECT_EQ(parse(config).sliding_window, 8);
  EXPECT_EQ(parse(config).full_attention_layers, 1);
  config["max_window_layers"] = 28;
  EXPECT_EQ(parse(config).sliding_window, 0) << "every layer is below max_window_layers";
  config["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(parse(config).sliding_window, 8);
  EXPECT_EQ(parse(config).full_attention_layers, 1);
  config["layer_types"] = {"sliding_attention", "full_attention"};
  EXPECT_EQ(config_error(config),
            "[config.json] key \"layer_types\": only full_attention followed by sliding_attention is supported");
}

TEST(ModelConfig, SlidingWindowOfMistralIsOffOnlyWhenNull) {
  EXPECT_EQ(parse(changed("mistral/model", "sliding_window", nullptr)).sliding_window, 0);
  EXPECT_EQ(parse(changed("mistral/model", "sliding_window", Json(Json::value_t::discarded))).sliding_window, 4096);
}

TEST(ModelConfig, RefusesWhatItDoesNotCompute) {
  EXPECT_EQ(config_error(changed("llama2/model", "architectures", {"GPT2LMHeadModel"})),
            "[config.json] architecture GPT2LMHeadModel is not supported; expected LlamaForCausalLM, "
            "MistralForCausalLM, Qwen2ForCausalLM or Qwen3ForCausalLM");
  EXPECT_EQ(config_error(changed("llama2/model", "hidden_act", "gelu")),
            "[config.json] key \"hidden_act\": \"gelu\" is not supported; expected silu");
  EXPECT_EQ(config_error(changed("llama3/model", "rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}})),
            "[config.json] rope type \"yarn\" is not supported; expected default, linear or llama3");
  EXPECT_EQ(config_error(changed("llama2/model", "attention_dropout", 0.1)),
            "[config.json] key \"attention_dropout\": only 0 is supported");
}

TEST(ModelConfig, RefusesWrongTypesAndNumbers) {
  EXPECT_EQ(config_error(changed("llama2/model", "hidden_size", "64")),
            "[config.json] key \"hidden_size\": expected an integer, got string");
  EXPECT_EQ(config_error(changed("llama2/model", "vocab_size", Json(Json::value_t::discarded))),
            "[config.json] key \"vocab_size\" is missing");
  EXPECT_EQ(config_error(changed("llama2/model", "num_hidden_layers", -1)),
            "[config.json] key \"num_hidden_layers\": expected an integer from 1 to 4096, got -1");
  EXPECT_EQ(config_error(changed("llama2/model", "num_key_value_heads", 3)),
            "[config.json] 4 attention heads cannot share 3 key/value heads; expected a multiple");
  EXPECT_EQ(config_error(changed("llama2/model", "rope_parameters", 3)),
            "[config.json] key \"rope_parameters\": expected an object");
  EXPECT_EQ(config_error(changed("llama2/model", "rms_norm_eps", 0)),
            "[config.json] key \"rms_norm_eps\": expected a positive number, got 0");
  EXPECT_EQ(config_error(Json::array()), "[config.json] expected a JSON object");
}

TEST(LoadModel, MapsPlainWeightsAndWidensNorms) {
  for (const char* const name : {"llama2/model", "llama3/model", "mistral/model_bf16", "qwen2/model", "qwen3/model"}) {
    SCOPED_TRACE(name);
    Model model = load_model(kGolden / name, Quantization::kNone);
    const SafetensorsFolder folder(kGolden / name);
    std::int64_t elements = 0;
    for (const ModelTensor& tensor : model_tensors(model.config)) {
      SCOPED_TRACE(tensor.name);
      const TensorView expected = folder.find(tensor.name)->view();
      elements += expected.elements();
      const bool brain = expected.dtype == DType::kBF16;
      const auto value = [&](std::int64_t i) {
        return brain ? to_float(expected.as<bf16>()[i]) : expected.as<float>()[i];
      };
      std::vector<float> got;
      if (tensor.role == TensorRole::kEmbedding) {
        EXPECT_EQ(std::memcmp(model.embedding.data, expected.data, expected.bytes()), 0);
        continue;
      }
      if (tensor.role == TensorRole::kHead || tensor.role == TensorRole::kLinear) {
        const WeightMatrix& weight = linear_of(model, tensor).weight;
        EXPECT_EQ(weight.format, brain ? WeightFormat::kBF16 : WeightFormat::kF32);
        got = all_values(weight);
      } else if (tensor.role == TensorRole::kBias) {
        got = floats_of(linear_of(model, tensor).bias);
      } else {
        got = floats_of(norm_of(model, tensor).weight);
      }
      ASSERT_EQ(std::ssize(got), expected.elements());
      for (std::int64_t i = 0; i < expected.elements(); ++i) ASSERT_EQ(got[static_cast<std::size_t>(i)], value(i));
    }
    EXPECT_EQ(parameter_count(model.config), elements);
    if (model.config.tie_word_embeddings) {
      EXPECT_EQ(model.head.weight.data, model.embedding.data);
    }
    MemoryPlan plan;
    plan_weights(plan, model.config, Quantization::kNone, model.embedding.dtype);
    EXPECT_EQ(plan.bytes_of(BufferKind::kWeights), model.weight_bytes);
  }
}

// The folder that bitsandbytes wrote holds what our own quantization of the same weights gives.
TEST(LoadModel, QuantizesToTheBytesOfBitsandbytes) {
  const Model ours = load_model(kGolden / "llama3/model", Quantization::kNF4);
  const Model theirs = load_model(kGolden / "llama3/model_bnb_nf4", Quantization::kNF4);
  for (std::size_t layer = 0; layer < ours.blocks.size(); ++layer) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      const WeightMatrix& a = ours.blocks[layer].linears[slot].weight;
      const WeightMatrix& b = theirs.blocks[layer].linears[slot].weight;
      ASSERT_EQ(a.format, WeightFormat::kNF4);
      ASSERT_EQ(b.format, WeightFormat::kNF4);
      const std::int64_t elements = a.rows * a.columns;
      EXPECT_EQ(std::memcmp(a.data, b.data, static_cast<std::size_t>(nf4_code_bytes(elements))), 0);
      EXPECT_EQ(std::memcmp(a.absmax_codes, b.absmax_codes, static_cast<std::size_t>(nf4_blocks(elements))), 0);
      EXPECT_NEAR(a.nested_offset, b.nested_offset, 1e-6f * b.nested_offset);
    }
  }
  EXPECT_LT(ours.weight_bytes, theirs.weight_bytes + 1);
  MemoryPlan plan;
  plan_weights(plan, ours.config, Quantization::kNF4, DType::kF32);
  EXPECT_EQ(plan.bytes_of(BufferKind::kWeights), ours.weight_bytes);
}

TEST(LoadModel, Int8StaysNearTheStoredWeights) {
  std::uint64_t last = 0, total = 0;
  const Model model =
      load_model(kGolden / "mistral/model", Quantization::kInt8, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_GT(done, last);
        last = done;
        total = all;
      });
  EXPECT_EQ(last, total);
  const Model plain = load_model(kGolden / "mistral/model", Quantization::kNone);
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const auto a = all_values(model.blocks[1].linears[slot].weight),
               b = all_values(plain.blocks[1].linears[slot].weight);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(model.blocks[1].linears[slot].weight.columns);
      EXPECT_LE(std::abs(a[i] - b[i]), 0.5001f * model.blocks[1].linears[slot].weight.row_scales[row]);
    }
  }
}

TEST(LoadModel, TrainableModelsHaveGradientsAndSurviveSaving) {
  const Scratch scratch;
  for (const char* const name : {"llama3/model", "qwen2/model", "llama2/model"}) {
    const Model model = load_trainable_model(kGolden / name);
    const auto parameters = trainable_parameters(model);
    ASSERT_EQ(parameters.size(), model_tensors(model.config).size());
    const SafetensorsFolder golden(kGolden / name);
    for (const NamedParameter& parameter : parameters) {
      EXPECT_EQ(parameter.value.shape, parameter.gradient.shape) << parameter.name;
      const TensorView expected = golden.find(parameter.name)->view();
      EXPECT_EQ(std::memcmp(parameter.value.data, expected.data, expected.bytes()), 0) << parameter.name;
      EXPECT_EQ(parameter.gradient.as<float>()[0], 0.0f);
    }
    save_model(scratch.path, model, DType::kF32);
    const Model again = load_trainable_model(scratch.path);
    const auto saved = trainable_parameters(again);
    for (std::size_t i = 0; i < saved.size(); ++i) {
      EXPECT_EQ(std::memcmp(saved[i].value.data, parameters[i].value.data, saved[i].value.bytes()), 0);
    }
    MemoryPlan plan;
    plan_trainable_weights(plan, model.config);
    EXPECT_EQ(plan.bytes_of(BufferKind::kGradients), model.weight_bytes);
  }
}

TEST(LoadModel, FreshModelsAreDrawnFromTheSeed) {
  const ModelConfig config = load_model_config(kGolden / "qwen3/model");
  const Model model = make_trainable_model(config, 7), same = make_trainable_model(config, 7),
              other = make_trainable_model(config, 8);
  const auto a = trainable_parameters(model), b = trainable_parameters(same), c = trainable_parameters(other);
  double sum = 0, squares = 0;
  const std::int64_t count = model.embedding.elements();
  for (std::int64_t i = 0; i < count; ++i) {
    const double x = model.embedding.as<float>()[i];
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / static_cast<double>(count), 0.0, 4 * 0.02 / std::sqrt(static_cast<double>(count)));
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.02, 0.001);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].value.data, b[i].value.data, a[i].value.bytes()), 0);
  }
  EXPECT_NE(std::memcmp(a[1].value.data, c[1].value.data, a[1].value.bytes()), 0);
  EXPECT_EQ(floats_of(model.blocks[0].q_norm.weight), std::vector<float>(24, 1.0f));
}

std::string load_error(const fs::path& folder, Quantization quantization = Quantization::kNone) {
  return error_of([&] { load_model(folder, quantization); });
}

void edit_json(const fs::path& path, const std::function<void(Json&)>& edit) {
  Json json = read_json(path);
  edit(json);
  write_file_atomic(path, json.dump());
}

TEST(BadModel, MissingFolderConfigOrWeights) {
  const Scratch scratch;
  EXPECT_EQ(load_error("/no/such"), "[/no/such] no such folder; expected a model folder");
  const fs::path folder = scratch.copy_of("llama2/model");
  fs::remove(folder / "model.safetensors");
  EXPECT_EQ(load_error(folder),
            fmt::format("[{}] has no model.safetensors and no model.safetensors.index.json; expected a "
                        "Hugging Face folder with safetensors weights",
                        folder.string()));
  fs::remove(folder / "config.json");
  EXPECT_EQ(load_error(folder), fmt::format("[{}] no such file; check the path", (folder / "config.json").string()));
}

TEST(BadModel, ShapeMismatchNamesTensorAndShapes) {
  const Scratch scratch;
  const fs::path folder = scratch.copy_of("llama2/model");
  edit_json(folder / "config.json", [](Json& config) { config["vocab_size"] = 321; });
  EXPECT_EQ(load_error(folder),
            fmt::format("[{}: tensor model.embed_tokens.weight] expected shape [321, 64], got [320, 64]; the "
                        "weights do not fit config.json",
                        (folder / "model.safetensors").string()));
}

TEST(BadModel, MissingAndUnexpectedTensors) {
  const Scratch scratch;
  const fs::path folder = scratch.copy_of("llama2/model");
  edit_json(folder / "config.json", [](Json& config) { config["num_hidden_layers"] = 3; });
  EXPECT_EQ(load_error(folder),
            fmt::format("[{}] tensor model.layers.2.self_attn.q_proj.weight is missing; config.json "
                        "describes another model",
                        folder.string()));
  edit_json(folder / "config.json", [](Json& config) { config["num_hidden_layers"] = 1; });
  EXPECT_EQ(load_error(folder),
            fmt::format("[{}] tensor model.layers.1.input_layernorm.weight is unexpected; config.json "
                        "describes another model",
                        folder.string()));
}

TEST(BadModel, MissingShard) {
  const Scratch scratch;
  const fs::path folder = scratch.copy_of("qwen2/model");
  fs::remove(folder / "model-00002-of-00003.safetensors");
  EXPECT_EQ(load_error(folder),
            fmt::format("[{}] shard model-00002-of-00003.safetensors is missing; download the whole model "
                        "folder",
                        folder.string()));
}

TEST(BadModel, OtherQuantizationMethodsAreRefused) {
  const Scratch scratch;
  const fs::path folder = scratch.copy_of("llama2/model");
  edit_json(folder / "config.json", [](Json& config) { config["quantization_config"] = {{"quant_method", "gptq"}}; });
  const std::string where = fmt::format("[{}] ", (folder / "config.json").string());
  EXPECT_EQ(load_error(folder), where + "weights quantized by \"gptq\" are not supported; use the unquantized model");
  edit_json(folder / "config.json", [](Json& config) {
    config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}};
  });
  EXPECT_EQ(load_error(folder), where + "of bitsandbytes' types only nf4 is supported; use the unquantized model");
  EXPECT_EQ(load_error(kGolden / "llama3/model_bnb_nf4", Quantization::kInt8),
            fmt::format("[{}] is stored as nf4; int8 needs the unquantized model",
                        (kGolden / "llama3/model_bnb_nf4").string()));
  EXPECT_EQ(error_of([] { load_trainable_model(kGolden / "llama3/model_bnb_nf4"); }),
            fmt::format("[{}] is stored as nf4; training all weights needs the unquantized model",
                        (kGolden / "llama3/model_bnb_nf4").string()));
}

TEST(BadModel, ValuesThatAreNotFiniteAreNotQuantized) {
  const Scratch scratch;
  const Model model = load_trainable_model(kGolden / "llama2/model");
  const_cast<float*>(static_cast<const float*>(model.blocks[1][Slot::kUp].weight.data))[5] = INFINITY;
  save_model(scratch.path, model, DType::kF32);
  for (const Quantization quantization : {Quantization::kNF4, Quantization::kInt8}) {
    EXPECT_EQ(load_error(scratch.path, quantization),
              fmt::format("[{}: tensor model.layers.1.mlp.up_proj.weight] holds "
                          "a value that is not a finite number; the file is "
                          "damaged",
                          (scratch.path / "model.safetensors").string()));
  }
}

}  // namespace
}  // namespace attune
