// The engine against torch, transformers and PEFT: logits, gradients and ten AdamW steps of one tiny model of each
// family. What each tensor is and how it was made: README.md beside this file.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <numeric>

#include "adapter/lora.h"
#include "base/error.h"
#include "format/safetensors.h"
#include "generate/generator.h"
#include "model/pass.h"
#include "ops/adamw.h"
#include "ops/simd_limit.h"
#include "train/optimizer.h"

namespace attune {
namespace {

const fs::path kGolden = fs::path(ATTUNE_SOURCE_DIR) / "tests" / "golden";

template <typename T>
std::vector<T> values(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) throw BadFile("[{}] tensor {} is missing", file.path().string(), name);
  std::vector<T> copy(tensor->bytes.size() / sizeof(T));
  std::memcpy(copy.data(), tensor->bytes.data(), tensor->bytes.size());
  return copy;
}

// A case's tokens as the engine takes them.
struct Tokens {
  std::vector<std::int32_t> ids, positions, targets, starts;

  PassInput input() { return {view(ids), view(positions), starts}; }
  static TensorView view(std::vector<std::int32_t>& column) {
    return {column.data(), DType::kI32, {static_cast<std::int64_t>(column.size())}};
  }
};

// `lengths`: of the sequences that input_ids holds end to end. labels[t+1] is what logits[t] predict.
Tokens tokens_of(const SafetensorsFile& golden, const std::string& prefix, const std::vector<std::int64_t>& lengths) {
  const auto ids = values<std::int64_t>(golden, prefix + "input_ids"),
             labels = values<std::int64_t>(golden, prefix + "labels");
  Tokens tokens;
  tokens.starts.push_back(0);
  for (const std::int64_t length : lengths) {
    for (std::int64_t t = 0; t < length; ++t) {
      const std::size_t i = tokens.ids.size();
      tokens.ids.push_back(static_cast<std::int32_t>(ids[i]));
      tokens.positions.push_back(static_cast<std::int32_t>(t));
      const bool trained = t + 1 < length && labels[i + 1] >= 0;
      tokens.targets.push_back(trained ? static_cast<std::int32_t>(labels[i + 1]) : kNoTarget);
    }
    tokens.starts.push_back(static_cast<std::int32_t>(tokens.ids.size()));
  }
  return tokens;
}

// The buffers of a pass over one case.
struct Buffers {
  Arena arena;
  Activations activations;
  Buffers(const Model& model, std::int64_t tokens, DType act, bool full_training, std::int64_t recomputed = 0,
          bool near_base = false) {
    PassOptions options;
    options.tokens = tokens;
    options.positions = 64;
    options.act = act;
    options.backward = true;
    options.full_training = full_training;
    options.keep.assign(static_cast<std::size_t>(recomputed), Keep::kInput);
    options.head_rows = 33;  // so that chunks end in the middle of a row
    options.lora_ranks = lora_ranks_of(model);
    options.near_base = near_base;
    MemoryPlan plan;
    const ActivationPlan planned = plan_activations(plan, model.config, options);
    plan.place();
    arena = Arena(plan);
    activations = bind_activations(planned, arena, model.config);
  }
};

std::vector<float> logits_of(const Model& model, Tokens& tokens) {
  const auto count = static_cast<std::int64_t>(tokens.ids.size());
  Buffers buffers(model, count, DType::kF32, false);
  forward(model, tokens.input(), {}, buffers.activations);
  std::vector<float> logits(static_cast<std::size_t>(count * model.config.vocab_size));
  project_logits({logits.data(), DType::kF32, {count, model.config.vocab_size}}, model, 0, buffers.activations);
  return logits;
}

// Notes the worst value of a test beside the bar it met: --gtest_output=json:FILE tells them all.
void record_worst(const std::string& what, double value) {
  static std::string test;
  static std::map<std::string, double> worst;
  const testing::TestInfo* const info = testing::UnitTest::GetInstance()->current_test_info();
  if (const std::string name = fmt::format("{}.{}", info->test_suite_name(), info->name()); name != test) {
    test = name;
    worst.clear();
  }
  double& most = worst[what];
  most = std::max(most, value);
  testing::Test::RecordProperty(what, fmt::format("{:.1e}", most));
}

double largest_relative_difference(const std::vector<float>& got, const std::vector<float>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(got[i]) - expected[i]));
    scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
  }
  record_worst("logits_relative_difference", difference / scale);
  return difference / scale;
}

void expect_gradient(const std::string& name, TensorView got, const SafetensorsFile& golden, const std::string& prefix,
                     double scale) {
  const auto expected = values<float>(golden, prefix + name);
  ASSERT_EQ(static_cast<std::int64_t>(expected.size()), got.elements()) << name;
  double dot = 0, norm_got = 0, norm_expected = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double g = scale * got.as<float>()[i];
    dot += g * expected[i];
    norm_got += g * g;
    norm_expected += static_cast<double>(expected[i]) * expected[i];
  }
  const double cosine = dot / std::sqrt(norm_got * norm_expected);
  record_worst("gradient_one_minus_cosine", 1 - cosine);
  EXPECT_GE(cosine, 0.9999) << name;
  EXPECT_NEAR(std::sqrt(norm_got / norm_expected), 1.0, 1e-3) << name;
}

constexpr float kClip = 1.0f;

struct Trained {
  std::vector<double> losses, norms;
};

// Ten AdamW steps with the settings of make.py.
Trained ten_steps(const Model& model, const Adapter* adapter, Tokens& tokens, DType act, double learning_rate) {
  Buffers buffers(model, static_cast<std::int64_t>(tokens.ids.size()), act, adapter == nullptr);
  const auto named = parameters_to_train(model, adapter);
  MemoryPlan plan;
  const OptimizerPlan optimizer = plan_optimizer(plan, named);
  plan.place();
  const Arena arena(plan);
  const auto parameters = bind_optimizer(optimizer, arena, named);
  Trained result;
  for (int step = 1; step <= 10; ++step) {
    for (const TrainedParameter& p : parameters) std::memset(p.gradient.data, 0, p.gradient.bytes());
    const HeadLoss loss =
        loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations);
    const double mean = 1.0 / static_cast<double>(loss.tokens);
    double squares = 0;
    for (const TrainedParameter& p : parameters) squares += sum_of_squares(p.gradient);
    const double norm = std::sqrt(squares) * mean;
    result.losses.push_back(loss.sum * mean);
    result.norms.push_back(norm);
    const double clip = std::min(1.0, kClip / (norm + 1e-6));
    const AdamWParams update{static_cast<float>(learning_rate), 0.9f, 0.999f, 1e-8f, 0.01f, step,
                             static_cast<float>(mean * clip)};
    for (const TrainedParameter& p : parameters)
      adamw_step(p.value, p.gradient, p.first_moment, p.second_moment, update);
  }
  return result;
}

void expect_losses(const Trained& got, const SafetensorsFile& golden, const std::string& name, double tolerance) {
  const auto expected = values<float>(golden, name);
  ASSERT_EQ(expected.size(), got.losses.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    record_worst("loss_difference", std::abs(got.losses[i] - static_cast<double>(expected[i])));
    EXPECT_NEAR(got.losses[i], expected[i], tolerance) << name << " step " << i + 1;
  }
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  fs::path folder = kGolden / GetParam();
  SafetensorsFile golden{folder / "golden.safetensors"};
  Tokens rows() const { return tokens_of(golden, "", {48, 48}); }
};

// Over the trained tokens: the cross-entropy plus `weight` times KL(base || tuned), and that divergence alone, in f64.
struct NearLoss {
  double total = 0, divergence = 0;
};

NearLoss near_loss(const std::vector<float>& base, const std::vector<float>& tuned, const Tokens& tokens,
                   double weight) {
  const std::size_t vocab = base.size() / tokens.ids.size();
  const auto log_softmax = [&](const std::vector<float>& logits, std::size_t row) {
    std::vector<double> x(logits.begin() + static_cast<std::ptrdiff_t>(row * vocab),
                          logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * vocab));
    double sum = 0;
    for (const double value : x) sum += std::exp(value);
    for (double& value : x) value -= std::log(sum);
    return x;
  };
  NearLoss loss;
  for (std::size_t t = 0; t < tokens.targets.size(); ++t) {
    if (tokens.targets[t] == kNoTarget) continue;
    const std::vector<double> p = log_softmax(base, t), q = log_softmax(tuned, t);
    double divergence = 0;
    for (std::size_t i = 0; i < vocab; ++i) divergence += std::exp(p[i]) * (p[i] - q[i]);
    loss.divergence += divergence;
    loss.total += weight * divergence - q[static_cast<std::size_t>(tokens.targets[t])];
  }
  return loss;
}

// The value against torch's logits of both models, the gradient against differences of the value along itself.
TEST_P(Golden, StaysNearTheBase) {
  constexpr double kWeight = 0.7;
  Model model = load_model(folder / "model", Quantization::kNone);
  Tokens tokens = rows();
  const std::vector<float> base = logits_of(model, tokens);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  const Buffers buffers(model, static_cast<std::int64_t>(tokens.ids.size()), DType::kF32, false, 1, true);
  const auto named = parameters_to_train(model, &adapter);
  for (const NamedParameter& p : named) std::memset(p.gradient.data, 0, p.gradient.bytes());
  const HeadLoss got =
      loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations, kWeight);
  const NearLoss want =
      near_loss(values<float>(golden, "logits_base"), values<float>(golden, "logits_adapter"), tokens, kWeight);
  EXPECT_NEAR(got.divergence, want.divergence, 1e-3 * want.divergence);
  EXPECT_NEAR(got.sum, want.total - kWeight * want.divergence, 1e-4 * got.sum);

  double squares = 0;
  for (const NamedParameter& p : named) squares += sum_of_squares(p.gradient);
  const auto value_at = [&](double step) {
    const auto move = [&](double by) {
      for (const NamedParameter& p : named) {
        for (std::int64_t i = 0; i < p.value.elements(); ++i) {
          p.value.as<float>()[i] += static_cast<float>(by) * p.gradient.as<float>()[i];
        }
      }
    };
    move(step);
    const double value = near_loss(base, logits_of(model, tokens), tokens, kWeight).total;
    move(-step);
    return value;
  };
  const double step = 0.02 / std::sqrt(squares);
  EXPECT_NEAR((value_at(step) - value_at(-step)) / (2 * step), squares, 0.01 * squares);
}

TEST_P(Golden, Logits) {
  Model model = load_model(folder / "model", Quantization::kNone);
  Tokens tokens = rows();
  EXPECT_LE(largest_relative_difference(logits_of(model, tokens), values<float>(golden, "logits_base")), 1e-4);
  const Adapter adapter = Adapter::load(model, folder / "adapter", false);
  EXPECT_LE(largest_relative_difference(logits_of(model, tokens), values<float>(golden, "logits_adapter")), 1e-4);
  Adapter::detach(model);
  EXPECT_LE(largest_relative_difference(logits_of(model, tokens), values<float>(golden, "logits_base")), 1e-4);
  if (golden.find("logits_bf16_weights") != nullptr) {
    const Model stored_bf16 = load_model(folder / "model_bf16", Quantization::kNone);
    EXPECT_LE(largest_relative_difference(logits_of(stored_bf16, tokens), values<float>(golden, "logits_bf16_weights")),
              1e-4);
  }
}

TEST_P(Golden, AdapterGradients) {
  Model model = load_model(folder / "model", Quantization::kNone);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  Buffers buffers(model, 96, DType::kF32, false);
  const HeadLoss loss =
      loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations);
  EXPECT_NEAR(loss.sum / static_cast<double>(loss.tokens), values<float>(golden, "loss")[0], 1e-5);
  for (const AdapterParameter& p : adapter.parameters()) {
    expect_gradient(p.name, p.gradient, golden, "grad.", 1.0 / static_cast<double>(loss.tokens));
  }
}

// What ATTUNE_SIMD chooses: an adapter trained on one machine is the same model on another.
TEST_P(Golden, EveryInstructionSetGivesTheSameLossAndGradients) {
  Model model = load_model(folder / "model", Quantization::kNF4);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  std::vector<double> first;
  for (const std::string widest : {"", "avx2", "neon", "scalar"}) {
    try {
      limit_simd(widest);
    } catch (const UserError& error) {
      std::printf("not compared: %s\n", error.what());
      continue;
    }
    SCOPED_TRACE(widest);
    for (const AdapterParameter& p : adapter.parameters()) std::memset(p.gradient.data, 0, p.gradient.bytes());
    Buffers buffers(model, 96, DType::kF32, false);
    std::vector<double> numbers = {
        loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations).sum};
    for (const AdapterParameter& p : adapter.parameters()) numbers.push_back(std::sqrt(sum_of_squares(p.gradient)));
    if (first.empty()) first = numbers;
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(numbers[i], first[i], 1e-5 * std::abs(first[i])) << i;
  }
  limit_simd("");
}

TEST_P(Golden, RecomputedBlocksGiveTheSameGradientsBitForBit) {
  Model model = load_model(folder / "model", Quantization::kNF4);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  std::vector<float> first;
  for (const std::int64_t recomputed : {0, 2, 3}) {
    for (const AdapterParameter& p : adapter.parameters()) std::memset(p.gradient.data, 0, p.gradient.bytes());
    Buffers buffers(model, 96, DType::kF32, false, recomputed);
    loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations);
    std::vector<float> all;
    for (const AdapterParameter& p : adapter.parameters()) {
      all.insert(all.end(), p.gradient.as<float>(), p.gradient.as<float>() + p.gradient.elements());
    }
    if (first.empty()) first = all;
    EXPECT_EQ(std::memcmp(first.data(), all.data(), all.size() * sizeof(float)), 0) << recomputed << " recomputed";
  }
}

TEST_P(Golden, FullGradients) {
  const Model model = load_trainable_model(folder / "model");
  Tokens tokens = rows();
  Buffers buffers(model, 96, DType::kF32, true);
  const HeadLoss loss =
      loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations);
  EXPECT_NEAR(loss.sum / static_cast<double>(loss.tokens), values<float>(golden, "loss_base")[0], 1e-5);
  for (const NamedParameter& p : trainable_parameters(model)) {
    expect_gradient(p.name, p.gradient, golden, "full_grad.", 1.0 / static_cast<double>(loss.tokens));
  }
}

TEST_P(Golden, TenAdamWStepsF32) {
  Model model = load_model(folder / "model", Quantization::kNone);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  const Trained trained = ten_steps(model, &adapter, tokens, DType::kF32, 1e-2);
  expect_losses(trained, golden, "adamw_losses", 1e-3);
  const auto norms = values<float>(golden, "adamw_grad_norms");
  for (std::size_t i = 0; i < norms.size(); ++i)
    EXPECT_NEAR(trained.norms[i] / norms[i], 1.0, 1e-2) << "step " << i + 1;
}

TEST_P(Golden, TenAdamWStepsBf16) {
  Model model = load_model(folder / "model", Quantization::kNone);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  expect_losses(ten_steps(model, &adapter, tokens, DType::kBF16, 5e-4), golden, "adamw_losses_bf16", 1e-2);
}

TEST_P(Golden, TenAdamWStepsNf4) {
  Model model = load_model(folder / "model", Quantization::kNF4);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = rows();
  expect_losses(ten_steps(model, &adapter, tokens, DType::kF32, 1e-2), golden, "adamw_losses_nf4", 1e-2);
}

TEST_P(Golden, TenFullAdamWSteps) {
  const Model model = load_trainable_model(folder / "model");
  Tokens tokens = rows();
  expect_losses(ten_steps(model, nullptr, tokens, DType::kF32, 1e-3), golden, "full_adamw_losses", 1e-3);
}

TEST_P(Golden, PackedSequencesDoNotSeeEachOther) {
  Model model = load_model(folder / "model", Quantization::kNone);
  const Adapter adapter = Adapter::load(model, folder / "adapter", true);
  Tokens tokens = tokens_of(golden, "packed.", values<std::int64_t>(golden, "packed.segment_lengths"));
  EXPECT_LE(largest_relative_difference(logits_of(model, tokens), values<float>(golden, "packed.logits")), 1e-4);
  Buffers buffers(model, static_cast<std::int64_t>(tokens.ids.size()), DType::kF32, false);
  const HeadLoss loss =
      loss_and_gradients(model, tokens.input(), Tokens::view(tokens.targets), {}, buffers.activations);
  EXPECT_NEAR(loss.sum / static_cast<double>(loss.tokens), values<float>(golden, "packed.loss")[0], 1e-5);
  for (const AdapterParameter& p : adapter.parameters()) {
    expect_gradient(p.name, p.gradient, golden, "packed.grad.", 1.0 / static_cast<double>(loss.tokens));
  }
}

TEST_P(Golden, GreedyGeneration) {
  Model model = load_model(folder / "model", Quantization::kNone);
  const auto wide = values<std::int64_t>(golden, "generate.prompt");
  const std::vector<TokenId> prompt(wide.begin(), wide.end());
  GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_new_tokens = 24;
  const auto expect_answer = [&](const std::string& name) {
    Session session(model, 64, DType::kF32);
    const auto expected = values<std::int64_t>(golden, name);
    EXPECT_EQ(generate(session, prompt, options).tokens, (std::vector<TokenId>(expected.begin(), expected.end())))
        << name;
  };
  expect_answer("generate.base");
  const Adapter adapter = Adapter::load(model, folder / "adapter", false);
  expect_answer("generate.adapter");
}

INSTANTIATE_TEST_SUITE_P(Families, Golden, testing::Values("llama2", "llama3", "mistral", "qwen2", "qwen3"),
                         [](const auto& info) { return info.param; });

TEST(GoldenBitsandbytes, PreQuantizedFolder) {
  const SafetensorsFile golden(kGolden / "llama3" / "golden_bnb.safetensors");
  const Model model = load_model(kGolden / "llama3" / "model_bnb_nf4", Quantization::kNF4);
  Tokens tokens;
  tokens.starts.push_back(0);
  const auto ids = values<std::int64_t>(golden, "input_ids");
  const auto length = golden.find("input_ids")->shape[1];
  for (std::size_t i = 0; i < ids.size(); ++i) {
    tokens.ids.push_back(static_cast<std::int32_t>(ids[i]));
    tokens.positions.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(i) % length));
    if ((static_cast<std::int64_t>(i) + 1) % length == 0) tokens.starts.push_back(static_cast<std::int32_t>(i + 1));
  }
  EXPECT_LE(largest_relative_difference(logits_of(model, tokens), values<float>(golden, "logits")), 1e-4);
}

}  // namespace
}  // namespace attune
