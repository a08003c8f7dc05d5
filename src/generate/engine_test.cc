// The engine's guarantee, bit for bit: an answer is a function of its own request. And what it does when answers are
// stopped, wait, or do not fit.
#include "generate/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "adapter/lora.h"
#include "base/error.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;

constexpr std::int64_t kVocabulary = 300;

ModelConfig tiny_config() {
  return model_config_from_json(parse_json(R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
      "vocab_size": 300, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 12, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
      "rope_theta": 10000.0, "tie_word_embeddings": true, "initializer_range": 0.2})",
                                           "test"),
                                "test");
}

// A random model and two random adapters on it.
struct Fixture {
  Fixture() : model(make_trainable_model(tiny_config(), 3)) {
    for (const std::uint64_t seed : {5, 6}) {
      LoraConfig config;
      config.r = seed == 5 ? 4 : 7;
      adapters.push_back(Adapter::create(model, config, seed, false));
      Rng rng{.seed = seed};
      for (const AdapterParameter& parameter : adapters.back().parameters()) {
        float* const values = parameter.value.as<float>();
        for (std::int64_t i = 0; i < parameter.value.elements(); ++i) {
          values[i] = 0.2f * static_cast<float>(rng.normal());
        }
      }
      tables.push_back(lora_table_of(model));
      Adapter::detach(model);
    }
  }

  Engine engine(const EngineOptions& options) const { return Engine(model, tables, options); }

  Model model;
  std::vector<Adapter> adapters;
  std::vector<LoraTable> tables;
};

const Fixture& fixture() {
  static const Fixture made;
  return made;
}

struct Recorder : AnswerSink {
  bool wanted() override { return !unwanted; }
  void on_prompt(std::int64_t known_tokens) override { known = known_tokens; }
  bool on_token(const TokenChoice& choice) override {
    tokens.push_back(choice.token);
    logprobs.push_back(choice.logprob);
    top = choice.top;
    return std::ssize(tokens) < most;
  }
  void on_finish(FinishReason why) override { reason = why; }

  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<TokenChoice::Likely> top;
  std::optional<FinishReason> reason;
  std::int64_t known = 0, most = 1000;
  bool unwanted = false;
};

std::vector<TokenId> prompt_of(std::int64_t length, std::uint64_t seed) {
  Rng rng{.seed = seed, .stream = 9};
  std::vector<TokenId> prompt;
  while (std::ssize(prompt) < length) prompt.push_back(static_cast<TokenId>(rng.below(kVocabulary)));
  return prompt;
}

SequenceRequest request_of(std::vector<TokenId> prompt, std::int64_t adapter = -1, double temperature = 0) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.adapter = adapter;
  request.sampler = {.temperature = temperature, .seed = 11};
  request.max_new_tokens = 40;
  request.top_logprobs = 2;
  return request;
}

void finish_all(Engine& engine) {
  for (int passes = 0; !engine.idle(); ++passes) {
    ASSERT_LT(passes, 10000);
    engine.step();
  }
}

Recorder answer(Engine& engine, const SequenceRequest& request) {
  const auto sink = std::make_shared<Recorder>();
  engine.check(request);
  engine.add(request, sink);
  finish_all(engine);
  return *sink;
}

void expect_same(const Recorder& got, const Recorder& want, const std::string& what) {
  EXPECT_EQ(got.tokens, want.tokens) << what;
  EXPECT_EQ(got.logprobs, want.logprobs) << what << ": not the same bits";
  EXPECT_EQ(got.reason, want.reason) << what;
}

std::vector<SequenceRequest> mixed_requests() {
  std::vector<SequenceRequest> requests;
  std::uint64_t seed = 0;
  for (const std::int64_t length : {1, 5, 15, 16, 17, 63, 64, 65, 128, 130, 200, 300}) {
    ++seed;
    requests.push_back(
        request_of(prompt_of(length, seed), static_cast<std::int64_t>(seed % 3) - 1, seed % 2 == 0 ? 0 : 1));
  }
  requests[2].penalties = {.frequency = 0.5, .presence = 0.3};
  requests[3].sampler.top_p = 0.8;
  return requests;
}

TEST(Engine, AnAnswerHasTheSameBitsInAnyCompany) {
  const std::vector<SequenceRequest> requests = mixed_requests();
  std::vector<Recorder> alone;
  for (const SequenceRequest& request : requests) {
    Engine engine = fixture().engine({.context = 512});
    alone.push_back(answer(engine, request));
    EXPECT_EQ(alone.back().tokens.size(), 40u);
  }
  Engine engine = fixture().engine({.context = 512, .sequences = 5});
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (const SequenceRequest& request : requests) {
    sinks.push_back(std::make_shared<Recorder>());
    engine.add(request, sinks.back());
    engine.step();  // so that prompts meet answers under way
  }
  finish_all(engine);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    expect_same(*sinks[i], alone[i], "request " + std::to_string(i));
  }
  EXPECT_EQ(engine.load().pages_used, 0);
}

TEST(Engine, AgreesWithASession) {
  for (const std::int64_t adapter : {-1, 1}) {
    SequenceRequest request = request_of(prompt_of(100, 21), adapter);
    Engine engine = fixture().engine({.context = 512});
    const Recorder got = answer(engine, request);
    Model model = make_trainable_model(tiny_config(), 3);
    if (adapter >= 0) fixture().adapters[static_cast<std::size_t>(adapter)].attach(model);
    Session session(model, 512, DType::kF32);
    const Generated want = generate(session, request.prompt, {request.sampler, request.max_new_tokens, {}});
    EXPECT_EQ(got.tokens, want.tokens);
  }
}

TEST(Engine, LogProbabilitiesAreTheModelsOwn) {
  SequenceRequest request = request_of(prompt_of(30, 22), -1, 1.0);
  request.sampler.top_k = 1;  // the choice is the most likely token, whatever the temperature
  request.top_logprobs = kVocabulary;
  Engine engine = fixture().engine({.context = 512});
  const Recorder got = answer(engine, request);
  double sum = 0;
  for (const auto& likely : got.top) sum += std::exp(static_cast<double>(likely.logprob));
  EXPECT_NEAR(sum, 1.0, 1e-5);
  EXPECT_EQ(got.top.front().token, got.tokens.back());
  EXPECT_EQ(got.top.front().logprob, got.logprobs.back());
  EXPECT_TRUE(std::is_sorted(got.top.begin(), got.top.end(),
                             [](const auto& a, const auto& b) { return a.logprob > b.logprob; }));
}

TEST(Engine, AKnownPrefixIsNotComputedAgainAndDoesNotShow) {
  std::vector<TokenId> shared = prompt_of(150, 31), longer = shared;
  for (const TokenId token : prompt_of(30, 32)) longer.push_back(token);
  for (const std::int64_t adapter : {-1, 0}) {
    Engine fresh = fixture().engine({.context = 512, .share_prefixes = false});
    const Recorder want = answer(fresh, request_of(longer, adapter));
    EXPECT_EQ(want.known, 0);
    Engine engine = fixture().engine({.context = 512});
    EXPECT_EQ(answer(engine, request_of(shared, adapter)).known, 0);
    const Recorder got = answer(engine, request_of(longer, adapter));
    EXPECT_EQ(got.known, 128);  // the whole pages of what both have
    expect_same(got, want, "prefix");
    EXPECT_EQ(answer(engine, request_of(shared, 1)).known, 0) << "another adapter has other keys and values";
  }
}

TEST(Engine, PromptsThatBeginAlikeAtTheSameTimeShareAsWell) {
  const std::vector<TokenId> prompt = prompt_of(140, 33);
  Engine engine = fixture().engine({.context = 256, .sequences = 3});
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (int i = 0; i < 3; ++i) {
    sinks.push_back(std::make_shared<Recorder>());
    engine.add(request_of(prompt), sinks.back());
  }
  std::int64_t computed = 0;
  while (!engine.idle()) computed += engine.step().prompt_tokens;
  EXPECT_EQ(computed, 140 + 2 * 12);
  expect_same(*sinks[1], *sinks[0], "second");
  expect_same(*sinks[2], *sinks[0], "third");
}

TEST(Engine, GuessedTokensDoNotShow) {
  std::vector<TokenId> prompt;
  for (int i = 0; i < 6; ++i) {
    for (const TokenId token : prompt_of(12, 41)) prompt.push_back(token);
  }
  SequenceRequest request = request_of(prompt);
  request.max_new_tokens = 300;  // a random model soon repeats itself
  Engine plain = fixture().engine({.context = 512, .prompt_lookup = false});
  const Recorder want = answer(plain, request);
  Engine engine = fixture().engine({.context = 512});
  const auto sink = std::make_shared<Recorder>();
  engine.add(request, sink);
  PassReport sum;
  while (!engine.idle()) {
    const PassReport report = engine.step();
    sum.guessed += report.guessed;
    sum.accepted += report.accepted;
  }
  expect_same(*sink, want, "guessed");
  EXPECT_GT(sum.accepted, 50);
  EXPECT_LE(sum.accepted, sum.guessed);

  // A stop token among the accepted ones ends the answer there.
  request.stop_tokens = {want.tokens[200]};
  const auto first = std::find(want.tokens.begin(), want.tokens.end(), want.tokens[200]);
  const Recorder stopped = answer(engine, request);
  EXPECT_EQ(stopped.tokens, std::vector<TokenId>(want.tokens.begin(), first));
  EXPECT_EQ(stopped.reason, FinishReason::kStop);
}

TEST(Engine, StopsWhenNobodyWantsTheAnswer) {
  Engine engine = fixture().engine({.context = 256, .sequences = 1});
  const auto cut = std::make_shared<Recorder>(), waiting = std::make_shared<Recorder>(),
             last = std::make_shared<Recorder>();
  cut->most = 3;
  for (const auto& sink : {cut, waiting, last}) engine.add(request_of(prompt_of(70, 51)), sink);
  engine.step();
  EXPECT_EQ(engine.load().waiting, 2);
  waiting->unwanted = true;
  finish_all(engine);
  EXPECT_EQ(cut->tokens.size(), 3u);
  EXPECT_EQ(cut->reason, FinishReason::kInterrupted);
  EXPECT_EQ(waiting->reason, FinishReason::kInterrupted);
  EXPECT_TRUE(waiting->tokens.empty());
  EXPECT_EQ(last->reason, FinishReason::kLength);
  EXPECT_EQ(engine.load().pages_used, 0);
}

TEST(Engine, WhatDoesNotFitTheCacheWaits) {
  Engine engine = fixture().engine({.context = 256, .sequences = 8, .cache_tokens = 256});
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (std::uint64_t i = 0; i < 6; ++i) {
    sinks.push_back(std::make_shared<Recorder>());
    engine.add(request_of(prompt_of(80, 60 + i)), sinks.back());  // two pages each, of four
  }
  while (!engine.idle()) {
    engine.step();
    EXPECT_LE(engine.load().under_way, 2);
    EXPECT_LE(engine.load().pages_used, 4);
  }
  for (const auto& sink : sinks) EXPECT_EQ(sink->tokens.size(), 40u);
}

TEST(Engine, TheContextEndsAnAnswer) {
  Engine engine = fixture().engine({.context = 64});
  const Recorder got = answer(engine, request_of(prompt_of(50, 70)));
  EXPECT_EQ(got.tokens.size(), 14u);
  EXPECT_EQ(got.reason, FinishReason::kLength);
}

TEST(Engine, RefusesWhatCanNeverRun) {
  const Engine engine = fixture().engine({.context = 64});
  const auto message = [&](const SequenceRequest& request) -> std::string {
    try {
      engine.check(request);
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(request_of({})), "[prompt] is empty; give the model something to continue");
  EXPECT_EQ(message(request_of(prompt_of(64, 1))),
            "[prompt] has 64 tokens and the context 64, which must hold the answer too; shorten it or raise --context");
  EXPECT_EQ(message(request_of({kVocabulary})), "[prompt] token 300 is outside the vocabulary of 300");
  EXPECT_EQ(message(request_of({1}, -1, -1.0)), "[temperature] expected 0 or more, got -1");
  SequenceRequest none = request_of({1});
  none.max_new_tokens = 0;
  EXPECT_EQ(message(none), "[max_tokens] expected 1 or more, got 0");
  EXPECT_EQ(message(request_of({1})), "accepted");
}

}  // namespace
}  // namespace attune
