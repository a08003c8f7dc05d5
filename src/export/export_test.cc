// Merged weights against PEFT's logits, GGUF files read back, the choice of types, and chat templates as patterns. Real
// llama.cpp reads our files in tests/interop.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "export/comparison_data.h"
#include "export/gguf_lora.h"
#include "export/merge.h"
#include "export/merged_weights.h"
#include "export/ollama.h"
#include "model/gguf_names.h"
#include "model/pass.h"
#include "model/shapes.h"
#include "token/byte_alphabet.h"
#include "token/gguf_vocabulary.h"
#include "token/template_fixtures.h"

namespace attune {
namespace {

const fs::path kSource = ATTUNE_SOURCE_DIR;
const fs::path kGolden = kSource / "tests/golden", kTiny = kSource / "assets/tiny";

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

// A tokenizer of 256 bytes, a beginning, an end and one merge: enough for the golden models, which have 320 ids.
void write_byte_tokenizer(const fs::path& folder) {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[to_byte_characters(std::string(1, static_cast<char>(byte)))] = byte;
  }
  vocabulary["he"] = 256;
  const auto added = [](const char* content, int id) {
    return Json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const Json json = {
      {"version", "1.0"},
      {"added_tokens", Json::array({added("<s>", 257), added("<|im_start|>", 258), added("<|im_end|>", 259)})},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array({"h e"})}}}};
  write_file_atomic(folder / "tokenizer.json", json.dump());
  const std::string chatml =
      "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
  const Json config = {
      {"bos_token", "<s>"}, {"eos_token", "<|im_end|>"}, {"add_bos_token", false}, {"chat_template", chatml}};
  write_file_atomic(folder / "tokenizer_config.json", config.dump());
}

class ExportTest : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune-export-{}", ::getpid());
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path golden_model(const std::string& name) const {
    const fs::path model = folder_ / name;
    fs::copy(kGolden / name / "model", model, fs::copy_options::recursive);
    write_byte_tokenizer(model);
    return model;
  }
};

std::vector<float> logits_of(const Model& model, const std::vector<std::int64_t>& ids, std::int64_t length) {
  std::vector<float> all;
  for (std::size_t begin = 0; begin < ids.size(); begin += static_cast<std::size_t>(length)) {
    PassOptions options;
    options.tokens = options.positions = length;
    options.lora_ranks = lora_ranks_of(model);
    MemoryPlan plan;
    const ActivationPlan planned = plan_activations(plan, model.config, options);
    plan.place();
    const Arena arena(plan);
    const Activations activations = bind_activations(planned, arena, model.config);
    std::vector<std::int32_t> tokens(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                     ids.begin() + static_cast<std::ptrdiff_t>(begin) + length);
    std::vector<std::int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    const std::array<std::int32_t, 2> starts = {0, static_cast<std::int32_t>(length)};
    forward(model, {{tokens.data(), DType::kI32, {length}}, {positions.data(), DType::kI32, {length}}, starts}, {},
            activations);
    std::vector<float> logits(static_cast<std::size_t>(length * model.config.vocab_size));
    project_logits({logits.data(), DType::kF32, {length, model.config.vocab_size}}, model, 0, activations);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

template <typename T>
std::vector<T> values(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor& tensor = *file.find(name);
  std::vector<T> copy(tensor.bytes.size() / sizeof(T));
  std::memcpy(copy.data(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
}

double largest_relative_difference(const std::vector<float>& got, const std::vector<float>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(got[i]) - expected[i]));
    scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
  }
  return difference / scale;
}

constexpr const char* kFamilies[] = {"llama2", "llama3", "mistral", "qwen2", "qwen3"};

TEST_F(ExportTest, MergedFoldersGiveTheLogitsOfPeft) {
  for (const std::string name : kFamilies) {
    SCOPED_TRACE(name);
    const fs::path model = golden_model(name), merged = folder_ / (name + "-merged");
    const MergeReport report = merge_adapter({.model = model,
                                              .adapter = kGolden / name / "adapter",
                                              .run = std::nullopt,
                                              .data = std::nullopt,
                                              .output = merged,
                                              .shard_bytes = 100'000});
    EXPECT_GT(report.shards, 1);
    EXPECT_LT(report.merged.divergence, 1e-6);
    EXPECT_EQ(report.merged.answers, 12);
    EXPECT_EQ(report.merged.equal_answers, report.merged.answers);
    EXPECT_TRUE(fs::exists(merged / "tokenizer_config.json"));
    const SafetensorsFile golden(kGolden / name / "golden.safetensors");
    const std::vector<float> logits =
        logits_of(load_model(merged, Quantization::kNone), values<std::int64_t>(golden, "input_ids"), 48);
    EXPECT_LT(largest_relative_difference(logits, values<float>(golden, "logits_adapter")), 2e-5);
  }
}

TEST_F(ExportTest, AComparisonIsBoundedInTokens) {
  std::string rows, long_answer;
  for (int i = 0; i < 500; ++i) long_answer += "The sea was calm. ";
  for (int i = 0; i < 20; ++i) {
    const std::string question = "How was the sea" + std::string(static_cast<std::size_t>(i), '?');
    rows += to_json_line(Conversation{{{"user", question}, {"assistant", long_answer}}}) + "\n";
  }
  write_file_atomic(folder_ / "rows.jsonl", rows);
  std::vector<std::uint64_t> told;
  const ComparisonData data =
      load_comparison_data(kTiny, std::nullopt, folder_ / "rows.jsonl", load_model(kTiny, Quantization::kNone),
                           [&](std::uint64_t done, std::uint64_t all) {
                             EXPECT_EQ(all, 8u * 24);
                             told.push_back(done);
                           });
  EXPECT_EQ(told.front(), 0u);
  EXPECT_EQ(told.back(), 8u * 24);
  EXPECT_TRUE(std::ranges::is_sorted(told));
  const auto scored = std::ranges::count_if(data.rows, &ComparedRow::scored);
  EXPECT_EQ(scored, 8);  // of 384 tokens
  EXPECT_EQ(std::ranges::count_if(data.rows, &ComparedRow::chosen), 8);
  EXPECT_LE(data.tokens(), 3072 + 8 * (64 + 24));
}

TEST_F(ExportTest, AMergeTellsHowFarItIs) {
  std::vector<MergeWork> works;
  std::map<MergeWork, std::pair<std::uint64_t, std::uint64_t>> last;
  merge_adapter({.model = golden_model("llama2"),
                 .adapter = kGolden / "llama2/adapter",
                 .run = std::nullopt,
                 .data = std::nullopt,
                 .output = folder_ / "merged"},
                [&](MergeWork work, std::uint64_t done, std::uint64_t all) {
                  if (works.empty() || works.back() != work) works.push_back(work);
                  EXPECT_GE(done, last[work].first);
                  last[work] = {done, all};
                });
  EXPECT_EQ(works, (std::vector{MergeWork::kAnswering, MergeWork::kWriting, MergeWork::kComparing}));
  for (const auto& [work, end] : last) EXPECT_EQ(end.first, end.second);
}

TEST_F(ExportTest, AMergeThatSixteenBitsDoNotHoldWritesNothing) {
  // Inputs that come in equal pairs meet value weights of 256 and -256, which cancel: only the adapter's part is left,
  // which beside 256 bf16 rounds away. What attention says is made loud.
  const fs::path model = golden_model("mistral");
  fs::remove(model / "model.safetensors");
  {
    const SafetensorsFile original(kGolden / "mistral/model/model.safetensors");
    const std::set<std::string> pairs = {"model.embed_tokens.weight", "model.layers.0.input_layernorm.weight"};
    std::vector<TensorSource> sources;
    for (const StoredTensor& tensor : original.tensors()) {
      Shape shape;
      for (const std::int64_t size : tensor.shape) shape.dims[static_cast<std::size_t>(shape.rank++)] = size;
      std::vector<float> values(tensor.view().as<float>(), tensor.view().as<float>() + tensor.view().elements());
      const bool is_value = tensor.name == "model.layers.0.self_attn.v_proj.weight";
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (is_value) values[i] = i % 2 == 0 ? 256.0f : -256.0f;
        if (pairs.contains(tensor.name) && i % 2 != 0) values[i] = values[i - 1];
        if (tensor.name == "model.layers.0.self_attn.o_proj.weight") values[i] *= 100;
      }
      sources.push_back({tensor.name, is_value ? DType::kBF16 : DType::kF32, shape,
                         [values = std::move(values), is_value](const ByteSink& sink) {
                           if (!is_value) return sink(std::as_bytes(std::span(values)));
                           std::vector<bf16> narrow;
                           for (const float value : values) narrow.push_back(to_bf16(value));
                           sink(std::as_bytes(std::span(narrow)));
                         }});
    }
    write_safetensors(model / "model.safetensors", std::move(sources));
  }
  const std::string message = message_of([&] {
    merge_adapter({.model = model,
                   .adapter = kGolden / "mistral/adapter",
                   .run = std::nullopt,
                   .data = std::nullopt,
                   .output = folder_ / "m"});
  });
  EXPECT_TRUE(
      message.starts_with("[merge] nothing was written: adapter and merged model differ on 12 built-in questions"))
      << message;
  EXPECT_FALSE(fs::exists(folder_ / "m"));
}

TEST_F(ExportTest, GgufFilesGiveTheLogitsOfTheFolder) {
  for (const std::string name : kFamilies) {
    for (const bool adapted : {false, true}) {
      SCOPED_TRACE(name);
      const fs::path path = folder_ / (name + (adapted ? "-a.gguf" : ".gguf"));
      const fs::path model = folder_ / name;
      if (!adapted) golden_model(name);
      export_gguf({.model = model,
                   .adapter = adapted ? std::optional(kGolden / name / "adapter") : std::nullopt,
                   .dtype = GgufDType::kF32,
                   .output = path});
      const SafetensorsFile golden(kGolden / name / "golden.safetensors");
      const std::vector<float> logits =
          logits_of(load_model(path, Quantization::kNone), values<std::int64_t>(golden, "input_ids"), 48);
      EXPECT_LT(largest_relative_difference(logits, values<float>(golden, adapted ? "logits_adapter" : "logits_base")),
                2e-5);
    }
  }
}

TEST_F(ExportTest, EveryTypeLoadsAndQuantizesLikeTheFolder) {
  const std::vector<std::int64_t> ids = {1, 5, 300, 2000, 4000, 17, 7, 5, 400, 9, 12, 6};
  const std::vector<float> exact = logits_of(load_model(kTiny, Quantization::kNone), ids, std::ssize(ids));
  const std::vector<float> nf4 = logits_of(load_model(kTiny, Quantization::kNF4), ids, std::ssize(ids));
  for (const auto& [dtype, limit] :
       {std::pair(GgufDType::kBF16, 1e-6), std::pair(GgufDType::kF16, 2e-3), std::pair(GgufDType::kQ8_0, 0.03),
        std::pair(GgufDType::kQ4_0, 0.35), std::pair(GgufDType::kQ4KM, 0.25)}) {
    SCOPED_TRACE(name_of(dtype));
    const fs::path path = folder_ / (std::string(name_of(dtype)) + ".gguf");
    export_gguf({.model = kTiny, .adapter = std::nullopt, .dtype = dtype, .output = path});
    const Model model = load_model(path, Quantization::kNone);
    EXPECT_LT(largest_relative_difference(logits_of(model, ids, std::ssize(ids)), exact), limit);
    if (dtype != GgufDType::kBF16) continue;
    EXPECT_LT(largest_relative_difference(logits_of(load_model(path, Quantization::kNF4), ids, std::ssize(ids)), nf4),
              1e-6);
    EXPECT_NO_THROW(load_model(path, Quantization::kInt8));
  }
}

TEST_F(ExportTest, TokenizerAndTemplateComeBack) {
  export_gguf({.model = kTiny, .adapter = std::nullopt, .dtype = GgufDType::kQ8_0, .output = folder_ / "tiny.gguf"});
  export_gguf({.model = golden_model("qwen2"),
               .adapter = std::nullopt,
               .dtype = GgufDType::kF16,
               .output = folder_ / "bytes.gguf"});
  for (const auto& [original, path] :
       {std::pair(kTiny, folder_ / "tiny.gguf"), std::pair(folder_ / "qwen2", folder_ / "bytes.gguf")}) {
    const auto theirs = load_tokenizer(original), ours = load_tokenizer(path);
    const ChatTemplate before = load_chat_template(original), after = load_chat_template(path);
    EXPECT_EQ(after.source(), before.source());
    const std::string chat = before.render({{"user", "Hello  there\n"}, {"assistant", "héj 😀"}, {"user", "x"}}, true);
    for (const std::string& text : {std::string("Hello, world! 123"), std::string("  two\n\nlines "), chat}) {
      EXPECT_EQ(ours->encode(text), theirs->encode(text)) << text;
      EXPECT_EQ(ours->decode(ours->encode(text), false), theirs->decode(theirs->encode(text), false));
    }
    EXPECT_EQ(ours->bos, theirs->bos);
    EXPECT_EQ(ours->eos, theirs->eos);
    EXPECT_EQ(stop_tokens(after, *ours), stop_tokens(before, *theirs));
  }
}

TEST_F(ExportTest, KeysAreThoseOfLlamaCpp) {
  export_gguf({.model = golden_model("llama3"),
               .adapter = std::nullopt,
               .dtype = GgufDType::kF16,
               .output = folder_ / "m.gguf"});
  const GgufFile file(folder_ / "m.gguf");
  EXPECT_EQ(file.entries()[0].first, "general.architecture");
  EXPECT_EQ(file.require<std::string>("general.architecture"), "llama");
  EXPECT_EQ(file.require<std::int64_t>("general.file_type"), 1);
  EXPECT_EQ(file.require<std::int64_t>("llama.attention.head_count_kv"), 2);
  EXPECT_EQ(file.require<std::int64_t>("llama.rope.dimension_count"), 8);
  EXPECT_EQ(file.require<std::int64_t>("tokenizer.ggml.eos_token_id"), 259);
  const auto tokens = file.require<std::vector<std::string>>("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), 320u);
  EXPECT_EQ(tokens[319], "[PAD319]");
  EXPECT_EQ(file.find("output.weight"), nullptr);  // tied
  ASSERT_NE(file.find("rope_freqs.weight"), nullptr);
  EXPECT_EQ(file.find("blk.0.attn_norm.weight")->type->name, "F32");
  EXPECT_EQ(file.find("blk.1.ffn_up.weight")->type->name, "F16");
}

TEST(GgufRows, QueryAndKeyOfArchitectureLlama) {
  std::vector<std::int64_t> order;
  for (std::int64_t row = 0; row < 16; ++row) order.push_back(gguf_source_row(row, 8));
  EXPECT_EQ(order, (std::vector<std::int64_t>{0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15}));
}

TEST(GgufMix, IsThatOfLlamaQuantize) {
  const auto counts = [](const char* shape, GgufDType dtype) {
    const ModelConfig config = shape_config(shape);
    std::map<std::string, int> result;
    for (const ModelTensor& tensor : model_tensors(config))
      ++result[std::string(name_of(gguf_format_of(tensor, config, dtype)))];
    return result;
  };
  using Counts = std::map<std::string, int>;
  // As `llama-quantize` prints them for Mistral 7B.
  EXPECT_EQ(counts("mistral-7b", GgufDType::kQ4KM), (Counts{{"f32", 65}, {"q4_k", 193}, {"q6_k", 33}}));
  EXPECT_EQ(counts("mistral-7b", GgufDType::kQ4_0), (Counts{{"f32", 65}, {"q4_0", 225}, {"q6_k", 1}}));
  EXPECT_EQ(counts("mistral-7b", GgufDType::kQ8_0), (Counts{{"f32", 65}, {"q8_0", 226}}));
  const ModelConfig tiny = load_model_config(kTiny);
  const auto format = [&](const char* name) {
    for (const ModelTensor& tensor : model_tensors(tiny)) {
      if (gguf_name(tensor) == name) return std::string(name_of(gguf_format_of(tensor, tiny, GgufDType::kQ4KM)));
    }
    return std::string();
  };
  EXPECT_EQ(format("token_embd.weight"), "q8_0");      // tied, rows of 192: no q6_k
  EXPECT_EQ(format("blk.1.attn_q.weight"), "q5_0");    // rows of 192: no q4_k
  EXPECT_EQ(format("blk.2.attn_v.weight"), "q8_0");    // q6_k wanted
  EXPECT_EQ(format("blk.1.ffn_down.weight"), "q4_k");  // rows of 512
  EXPECT_EQ(format("blk.2.ffn_down.weight"), "q6_k");
}

TEST_F(ExportTest, LoraFoldsWhatTheFormatCannotSay) {
  // qwen2: rank_pattern and alpha_pattern; llama3: rsLoRA, query and key reordered.
  for (const std::string name : {"qwen2", "llama3"}) {
    SCOPED_TRACE(name);
    const fs::path adapter_folder = kGolden / name / "adapter";
    export_gguf_lora(
        {.model = kGolden / name / "model", .adapter = adapter_folder, .output = folder_ / (name + ".gguf")});
    const GgufFile file(folder_ / (name + ".gguf"));
    EXPECT_EQ(file.require<std::string>("general.type"), "adapter");
    const auto alpha = static_cast<float>(file.require<double>("adapter.lora.alpha"));
    Model shell;
    shell.config = load_model_config(kGolden / name / "model");
    shell.blocks.resize(static_cast<std::size_t>(shell.config.layers));
    const Adapter adapter = Adapter::load(shell, adapter_folder, false);
    ASSERT_EQ(file.tensors().size(), adapter.parameters().size());
    for (std::size_t i = 0; i < adapter.targets().size(); ++i) {
      const AdapterTarget& target = adapter.targets()[i];
      const ModelTensor tensor{
          target.path + ".weight", {target.outputs, target.inputs}, TensorRole::kLinear, target.layer, target.slot};
      const GgufTensor &a = *file.find(gguf_name(tensor) + ".lora_a"), &b = *file.find(gguf_name(tensor) + ".lora_b");
      const auto *a_values = reinterpret_cast<const float*>(a.bytes.data()),
                 *b_values = reinterpret_cast<const float*>(b.bytes.data());
      EXPECT_EQ(a.shape, (std::vector<std::int64_t>{target.rank, target.inputs}));
      const float scale = alpha / static_cast<float>(target.rank);  // what llama.cpp computes
      for (std::int64_t row = 0; row < target.outputs; ++row) {
        const std::int64_t from =
            gguf_reorders(shell.config, tensor) ? gguf_source_row(row, shell.config.head_dim) : row;
        for (std::int64_t k = 0; k < target.rank; ++k) {
          const float wanted = target.scale * adapter.parameters()[2 * i + 1].value.as<float>()[from * target.rank + k];
          ASSERT_NEAR(scale * b_values[row * target.rank + k], wanted, 1e-6 * std::abs(wanted));
        }
      }
      EXPECT_EQ(a_values[0], adapter.parameters()[2 * i].value.as<float>()[0]);
    }
  }
}

TEST_F(ExportTest, RefusalsLeaveNothingBehind) {
  const fs::path out = folder_ / "out.gguf";
  const auto refused = [&](const fs::path& model, const std::optional<fs::path>& adapter) {
    const std::string message = message_of([&] { export_gguf({.model = model, .adapter = adapter, .output = out}); });
    EXPECT_TRUE(fs::is_empty(folder_)) << "something was left behind";
    return message;
  };
  EXPECT_EQ(refused(kGolden / "llama3/model_bnb_nf4", std::nullopt),
            fmt::format("[{}] is stored as nf4; expected the original model in 16 or 32 bits",
                        (kGolden / "llama3/model_bnb_nf4").string()));
  EXPECT_EQ(refused(kTiny, kGolden / "llama2/adapter"),
            fmt::format("[{}: tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight] expected shape "
                        "[4, 192], got [4, 64]; the adapter was made for another base model",
                        (kGolden / "llama2/adapter/adapter_model.safetensors").string()));
  EXPECT_EQ(message_of([&] {
              export_gguf_lora({kTiny, kGolden / "llama2/adapter", GgufDType::kQ8_0, out});
            }),
            "[--dtype] expected f32, f16 or bf16 for gguf-lora, got q8_0");
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ExportTest, BrokenGgufModels) {
  export_gguf({.model = kTiny, .adapter = std::nullopt, .dtype = GgufDType::kQ8_0, .output = folder_ / "good.gguf"});
  const GgufFile good(folder_ / "good.gguf");
  const fs::path path = folder_ / "bad.gguf";
  const auto error = [&](const std::function<void(std::vector<GgufEntry>&, std::vector<GgufTensorSource>&)>& edit) {
    std::vector<GgufEntry> entries = good.entries();
    std::vector<GgufTensorSource> sources;
    for (const GgufTensor& tensor : good.tensors()) {
      Shape shape;
      for (const std::int64_t size : tensor.shape) shape.dims[static_cast<std::size_t>(shape.rank++)] = size;
      sources.push_back({tensor.name, tensor.type, shape, [&tensor](const ByteSink& sink) { sink(tensor.bytes); }});
    }
    edit(entries, sources);
    write_gguf(path, entries, sources);
    const std::string message = message_of([&] { load_model(path, Quantization::kNone); });
    return message.starts_with("[" + path.string()) ? message.substr(path.string().size() + 1) : message;
  };
  const auto set = [](std::vector<GgufEntry>& entries, const std::string& key, GgufValue value) {
    for (GgufEntry& entry : entries) {
      if (entry.first == key) entry.second = value;
    }
  };
  EXPECT_EQ(error([](auto&, auto&) {}), "no error");
  EXPECT_EQ(error([&](auto& entries, auto&) { set(entries, "general.architecture", std::string("mamba")); }),
            "] architecture mamba is not supported; expected llama, qwen2 or qwen3");
  EXPECT_EQ(error([&](auto& entries, auto&) { set(entries, "general.type", std::string("adapter")); }),
            "] holds a GGUF of type adapter, expected a model");
  EXPECT_EQ(error([&](auto& entries, auto&) { set(entries, "llama.block_count", std::uint32_t{5}); }),
            ": tensor blk.5.attn_q.weight] is unexpected; the file's keys describe another model");
  EXPECT_EQ(error([&](auto& entries, auto&) { set(entries, "llama.block_count", std::uint32_t{7}); }),
            "] tensor blk.6.attn_q.weight is missing; this is no whole model");
  EXPECT_EQ(error([&](auto& entries, auto&) { set(entries, "llama.block_count", std::string("six")); }),
            "] key llama.block_count: expected an integer");
  EXPECT_EQ(
      error([&](auto& entries, auto&) { set(entries, "llama.feed_forward_length", std::uint32_t{256}); }),
      ": tensor blk.0.ffn_gate.weight] expected shape [256, 192], got [512, 192]; the tensors do not fit the file's "
      "own keys");
  EXPECT_EQ(
      error([](auto&, auto& sources) {
        sources[1].type = find_gguf_type("Q4_1");
        sources[1].write = [bytes = gguf_tensor_bytes(*sources[1].type, sources[1].shape)](const ByteSink& sink) {
          const std::string zeros(bytes, '\0');
          sink(std::as_bytes(std::span(zeros)));
        };
      }),
      ": tensor blk.0.attn_q.weight] type Q4_1 is not supported; choose a model in F32, F16, BF16, Q8_0, Q4_0, Q5_0, "
      "Q4_K, Q5_K or Q6_K");
  EXPECT_EQ(error([](auto&, auto& sources) { sources.erase(sources.begin()); }),
            "] tensor token_embd.weight is missing; this is no whole model");
  EXPECT_EQ(error([&](auto& entries, auto&) { entries.emplace_back("split.count", std::uint32_t{3}); }),
            "] is one part of several; join them with llama.cpp's llama-gguf-split --merge");
  const auto tokenizer_error = [&](const std::string& key, GgufValue value) {
    error([&](auto& entries, auto&) { set(entries, key, value); });
    const std::string message = message_of([&] { load_tokenizer(path); });
    return message.starts_with("[" + path.string()) ? message.substr(path.string().size() + 1) : message;
  };
  EXPECT_EQ(tokenizer_error("tokenizer.ggml.model", std::string("bert")),
            "] key tokenizer.ggml.model: \"bert\" is not supported; expected gpt2 or llama");
  EXPECT_EQ(tokenizer_error("tokenizer.ggml.bos_token_id", std::uint32_t{4096}),
            "] key tokenizer.ggml.bos_token_id: 4096 is no token of 4096");
  EXPECT_EQ(tokenizer_error("tokenizer.ggml.token_type", GgufArray(std::vector<std::int32_t>(4096, 9))),
            "] key tokenizer.ggml.token_type: 9 is no type of token");
  EXPECT_EQ(tokenizer_error("tokenizer.ggml.scores", GgufArray(std::vector<float>(7))),
            "] 4096 tokens, 4096 types and 7 scores; expected as many of each");
}

TEST(TurnPatterns, RenderWhatTheTemplateRenders) {
  const std::vector<Message> talk = {{"system", "Be brief."}, {"user", "Hi"},       {"assistant", "Hello."},
                                     {"user", "How?"},        {"assistant", "So."}, {"user", "And?"}};
  int found = 0;
  for (const TemplateFixture& fixture : template_fixtures()) {
    if (!fixture.available()) continue;
    SCOPED_TRACE(fixture.name);
    const ChatTemplate chat_template = fixture.load();
    std::optional<TurnPattern> pattern;
    try {
      pattern = find_turn_pattern(chat_template);
    } catch (const Unsupported& error) {
      EXPECT_TRUE(fixture.name == "plain_text.jinja" || fixture.name == "llama2.jinja") << error.what();
      continue;
    }
    ++found;
    const std::size_t skipped = fixture.takes_system ? 0 : 1;
    for (std::size_t turns = 2; turns <= talk.size(); turns += 2) {
      const std::vector<Message> part(talk.begin() + static_cast<std::ptrdiff_t>(skipped),
                                      talk.begin() + static_cast<std::ptrdiff_t>(turns));
      EXPECT_EQ(pattern->render(part), chat_template.render(part, true));
    }
  }
  EXPECT_GE(found, 11);
}

TEST(GoTemplates, OfChatMlAndMistral) {
  const auto go = [](const std::string& name) {
    for (const TemplateFixture& fixture : template_fixtures()) {
      if (fixture.name == name) return to_go_template(find_turn_pattern(fixture.load()), fixture.bos);
    }
    return std::string();
  };
  EXPECT_EQ(go("chatml.jinja"),
            "{{ range .Messages }}{{ if eq .Role \"user\" }}<|im_start|>user\n{{ .Content "
            "}}<|im_end|>\n<|im_start|>assistant\n"
            "{{ else if eq .Role \"assistant\" }}{{ .Content }}<|im_end|>\n"
            "{{ else if eq .Role \"system\" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n{{ end }}{{ end }}");
}

TEST_F(ExportTest, OllamaFolder) {
  export_ollama({.model = kTiny, .adapter = std::nullopt, .output = folder_ / "tiny"});
  EXPECT_EQ(read_file(folder_ / "tiny/Modelfile"),
            "FROM ./model.gguf\n"
            "TEMPLATE \"\"\"{{ range .Messages }}{{ if eq .Role \"user\" }}<|user|>{{ .Content }}<|end|><|assistant|>"
            "{{ else if eq .Role \"assistant\" }}{{ .Content }}<|end|>"
            "{{ else if eq .Role \"system\" }}<|system|>{{ .Content }}<|end|>{{ end }}{{ end }}\"\"\"\n"
            "PARAMETER stop \"<|end|>\"\n"
            "PARAMETER num_ctx 512\nPARAMETER temperature 0.7\nPARAMETER top_p 0.9\n");
  EXPECT_TRUE(GgufFile(folder_ / "tiny/model.gguf").require<std::int64_t>("general.file_type") == 7);
  EXPECT_EQ(message_of([&] { export_ollama({.model = kTiny, .adapter = std::nullopt, .output = folder_ / "tiny"}); }),
            fmt::format("[{}] already exists; choose another name or remove it", (folder_ / "tiny").string()));
}

}  // namespace
}  // namespace attune
