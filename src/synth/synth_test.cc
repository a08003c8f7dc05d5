// The whole of it with a language model made of plain functions.
#include "synth/synth.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <set>

#include "base/error.h"
#include "conversation/dataset.h"

namespace attune {
namespace {

class Scripted : public LanguageModel {
 public:
  explicit Scripted(std::function<std::string(const std::string& prompt)> answer) : answer_(std::move(answer)) {}
  ModelReply reply(const ModelCall& call) override {
    {
      const std::lock_guard lock(mutex_);
      ++calls_;
    }
    return {answer_(call.messages.at(0).content), false, 1000, 100, false};
  }
  std::string name() const override { return "scripted"; }
  int calls() const { return calls_; }

 private:
  std::function<std::string(const std::string&)> answer_;
  std::mutex mutex_;
  int calls_ = 0;
};

std::string pair(const std::string& question, const std::string& answer) {
  return to_json_line(Json::array({Json{{"question", question}, {"answer", answer}}}));
}

class Synth : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream file(folder_ / "doc.md");
    for (int i = 0; i < 12; ++i) {
      file << "# Part " << i << "\n\nThe machine number " << 100 + i << " stands in hall " << 200 + i
           << " and was bought by the firm; it is looked after by the people of that hall.\n\n";
    }
    options_.documents = {folder_ / "doc.md"};
    options_.output = folder_ / "out";
    options_.chunks = {.size = 200, .overlap = 0};
    options_.prompts = {"ASK {{chunk}}", "TALK {{chunk}}", "JUDGE {{conversation}}", "v1"};
    options_.prices = {1, 10};
  }
  void TearDown() override { fs::remove_all(folder_); }

  SynthLedger make(LanguageModel& model) {
    check_synth_options(options_);
    return make_conversations(options_, read_source(options_), model, model, {});
  }
  std::string file(const char* name) { return read_file(folder_ / "out" / name); }

  const fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune_synth_test_{}", ::getpid());
  SynthOptions options_;
};

std::string good(const std::string& prompt) {
  const std::string number = prompt.substr(prompt.find("number ") + 7, 3);
  return pair("Where does machine " + number + " stand?",
              "It stands in hall " + std::to_string(std::stoi(number) + 100) + ".");
}

TEST_F(Synth, KeepsWhatIsGroundedAndAccountsForTheRest) {
  Scripted model([](const std::string& prompt) -> std::string {
    const std::string part = prompt.substr(prompt.find("number ") + 7, 3);
    if (part == "101") return "I would rather not.";
    if (part == "102") return pair("What is new?", "It cost 99 forints.");
    if (part == "103") return pair("Where does machine 100 stand?", "It stands in hall 203.");
    return good(prompt);
  });
  const SynthLedger ledger = make(model);
  EXPECT_EQ(ledger.chunks, 12u);
  EXPECT_EQ(ledger.answered, 11u);
  EXPECT_EQ(ledger.no_json, 1u);
  EXPECT_EQ(ledger.unfit, (std::array<std::uint64_t, kUnfitReasons>{1, 0, 1, 0}));
  EXPECT_EQ(ledger.conversations, 11u);
  EXPECT_EQ(ledger.train + ledger.valid, 9u);
  EXPECT_EQ(ledger.valid, 1u);
  EXPECT_EQ(ledger.totals.calls, 13);  // the one without JSON was asked twice
  EXPECT_NEAR(ledger.cost, 13 * 0.002, 1e-12);
  const Dataset data = read_dataset(folder_ / "out");
  EXPECT_EQ(data.train.size(), 8u);
  EXPECT_EQ(data.valid.size(), 1u);
  EXPECT_EQ(dataset_digest(data.train), ledger.train_digest);
  const Json row = parse_json(file("train.jsonl").substr(0, file("train.jsonl").find('\n')), "row");
  EXPECT_EQ(row["source"].dump(), R"({"document":")" + (folder_ / "doc.md").string() +
                                      R"(","chunk":1,"heading":"Part 0","model":"scripted","prompts":"v1"})");
}

TEST_F(Synth, AsksNothingTwice) {
  Scripted first(good), second(good);
  make(first);
  const std::string train = file("train.jsonl"), ledger = file("ledger.json");
  make(second);
  EXPECT_EQ(first.calls(), 12);
  EXPECT_EQ(second.calls(), 0);
  EXPECT_EQ(file("train.jsonl"), train);
  EXPECT_EQ(file("ledger.json"), ledger);
}

TEST_F(Synth, ConcurrencyDoesNotShow) {
  options_.concurrency = 1;
  Scripted model(good);
  make(model);
  const std::string train = file("train.jsonl");
  fs::remove_all(folder_ / "out");
  options_.concurrency = 8;
  make(model);
  EXPECT_EQ(file("train.jsonl"), train);
}

TEST_F(Synth, GoesOnAfterFailures) {
  options_.concurrency = 1;
  Scripted failing([](const std::string& prompt) {
    if (prompt.find("number 105") != prompt.npos) throw CallFailed("[e] away");
    return good(prompt);
  });
  const SynthLedger ledger = make(failing);
  EXPECT_EQ(ledger.failed, 1u);
  EXPECT_EQ(ledger.last_failure, "[e] away");
  Scripted model(good);
  EXPECT_EQ(make(model).train, 11u);
  EXPECT_EQ(model.calls(), 1);
}

// A text that is refused for good must not stand in the way of those after it when the run goes on.
TEST_F(Synth, ARefusedTextDoesNotBlockGoingOn) {
  options_.limit = 1;
  Scripted model(good);
  make(model);
  options_.limit = 0;
  options_.concurrency = 1;
  Scripted refusing([](const std::string& prompt) {
    if (prompt.find("number 101") != prompt.npos) throw CallFailed("[e] content filter");
    return good(prompt);
  });
  EXPECT_EQ(make(refusing).answered, 11u);
}

TEST_F(Synth, EndsWhenNothingAnswers) {
  Scripted dead([](const std::string&) -> std::string { throw CallFailed("[e] away"); });
  try {
    make(dead);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[e] away; the same command again goes on from here");
  }
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(Synth, StopsAtTheCost) {
  options_.concurrency = 1;
  options_.max_tokens = 100;
  options_.max_cost = 0.01;  // 0.002 a call
  Scripted model(good);
  const SynthLedger ledger = make(model);
  EXPECT_LE(ledger.cost, 0.01);
  EXPECT_EQ(ledger.totals.calls, 5);
  EXPECT_EQ(ledger.not_asked, 12u - ledger.answered);
  options_.max_cost = 0.1;
  EXPECT_EQ(make(model).not_asked, 0u);
  EXPECT_EQ(model.calls(), 12);
}

TEST_F(Synth, AJudgeSortsOut) {
  options_.judge_threshold = 6;
  Scripted model([](const std::string& prompt) -> std::string {
    if (!prompt.starts_with("JUDGE")) return good(prompt);
    return prompt.find("machine 104") != prompt.npos ? "{\"score\": 2}" : "{\"score\": 8}";
  });
  const SynthLedger ledger = make(model);
  EXPECT_EQ(ledger.unfit, (std::array<std::uint64_t, kUnfitReasons>{0, 1, 0, 0}));
  EXPECT_EQ(model.calls(), 24);
  EXPECT_NE(file("train.jsonl").find("\"score\":8.0"), std::string::npos);
}

TEST_F(Synth, ConversationsHaveTurns) {
  options_.turns = 2;
  options_.limit = 1;
  Scripted model([](const std::string& prompt) -> std::string {
    EXPECT_TRUE(prompt.starts_with("TALK"));
    return R"([{"question":"Where does it stand?","answer":"In hall 200."},
               {"question":"Who bought it?","answer":"The firm."}])";
  });
  make(model);
  const Dataset data = read_dataset(folder_ / "out");
  ASSERT_EQ(data.train.size(), 1u);
  EXPECT_EQ(data.train[0].messages.size(), 4u);
}

TEST_F(Synth, RefusesAFolderThatIsNotItsOwn) {
  fs::create_directories(folder_ / "out");
  EXPECT_THROW(check_synth_options(options_), UserError);
}

TEST_F(Synth, SaysWhenNothingWasKept) {
  Scripted model([](const std::string&) { return pair("Q?", "It cost 99 forints."); });
  EXPECT_THROW(make(model), UserError);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "train.jsonl"));
}

TEST_F(Synth, EstimatesWithoutACall) {
  options_.judge_threshold = 5;
  const SynthEstimate guess = estimate(options_, read_source(options_));
  EXPECT_EQ(guess.calls, 12 * 4);
  EXPECT_GT(guess.cost, 0);
}

}  // namespace
}  // namespace attune
