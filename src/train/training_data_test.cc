// The data of a run: from a cache as from memory, bit for bit; stale and damaged caches are made anew; what attune data
// check calls an error is refused.
#include "train/training_data.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "token/tokenizer.h"

namespace attune {
namespace {

const fs::path kTinyModel = fs::path(ATTUNE_SOURCE_DIR) / "assets" / "tiny";

class TrainingDataTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("training-data-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::string rows;
    for (int i = 0; i < 60; ++i)
      rows += row(fmt::format("question number {}?", i * i), fmt::format("arr, {} it be", i * 37));
    write_file_atomic(folder_ / "train.jsonl", rows);
    recipe_.model = kTinyModel.string();
    recipe_.data = {(folder_ / "train.jsonl").string()};
    recipe_.token_cache = "none";
    recipe_.eval.eval_share = 0.1;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string row(const std::string& question, const std::string& answer) {
    return to_json_line(to_json(Conversation{{{"user", question}, {"assistant", answer}}})) + "\n";
  }
  TrainingData load() { return load_training_data(recipe_, load_chat_template(kTinyModel), *tokenizer_); }
  std::vector<fs::path> cache_files() const {
    std::vector<fs::path> files;
    if (!fs::exists(folder_ / "cache")) return files;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache")) files.push_back(entry.path());
    return files;
  }
  static void expect_same(const TokenizedDataset& a, const TokenizedDataset& b) {
    ASSERT_TRUE(std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end()));
    ASSERT_TRUE(std::equal(a.mask.begin(), a.mask.end(), b.mask.begin(), b.mask.end()));
    ASSERT_TRUE(std::equal(a.starts.begin(), a.starts.end(), b.starts.begin(), b.starts.end()));
    EXPECT_EQ(a.cut_rows, b.cut_rows);
    EXPECT_EQ(a.untrained_rows, b.untrained_rows);
  }
  void expect_same(const TrainingData& a, const TrainingData& b) {
    expect_same(a.train, b.train);
    expect_same(a.valid, b.valid);
    EXPECT_EQ(a.digest, b.digest);
    EXPECT_EQ(a.train_conversations, b.train_conversations);
    EXPECT_EQ(a.valid_conversations, b.valid_conversations);
    EXPECT_EQ(to_json(a.problems), to_json(b.problems));
  }

  fs::path folder_;
  Recipe recipe_;
  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(kTinyModel);
};

TEST_F(TrainingDataTest, ReplayedConversationsAreMixedInAndNeverHeldOut) {
  std::string general;
  for (int i = 0; i < 40; ++i) general += row(fmt::format("what is {}?", i), fmt::format("a number, {}", i));
  write_file_atomic(folder_ / "general.jsonl", general);
  const TrainingData plain = load();
  recipe_.train.replay_data = {(folder_ / "general.jsonl").string()};
  recipe_.train.replay_ratio = 0.25;
  const TrainingData mixed = load();
  EXPECT_EQ(mixed.train_conversations, 54);
  EXPECT_EQ(mixed.replay_conversations, 13);  // a quarter of 54
  EXPECT_EQ(mixed.train.rows(), 54 + 13);
  EXPECT_NE(mixed.digest, plain.digest);
  expect_same(mixed.valid, plain.valid);
  recipe_.token_cache = (folder_ / "cache").string();
  load();
  const TrainingData found = load();
  EXPECT_TRUE(found.cached);
  expect_same(mixed, found);
  EXPECT_EQ(found.replay_conversations, 13);
  recipe_.train.replay_ratio = 10;  // more than there are: all of them
  const TrainingData all = load();
  EXPECT_FALSE(all.cached);
  EXPECT_EQ(all.replay_conversations, 40);
}

TEST_F(TrainingDataTest, CachedAndInMemoryAreTheSame) {
  const TrainingData plain = load();
  EXPECT_EQ(plain.train_conversations, 54);
  EXPECT_EQ(plain.valid_conversations, 6);
  recipe_.token_cache = (folder_ / "cache").string();
  const TrainingData written = load();
  EXPECT_FALSE(written.cached);
  const TrainingData found = load();
  EXPECT_TRUE(found.cached);
  expect_same(plain, written);
  expect_same(plain, found);
  EXPECT_EQ(cache_files().size(), 1u);
}

TEST_F(TrainingDataTest, ACacheIsOfItsDataOptionsAndTokenizer) {
  recipe_.token_cache = (folder_ / "cache").string();
  load();
  recipe_.train.max_length = 16;
  EXPECT_FALSE(load().cached);
  recipe_.train.assistant_only_loss = false;
  EXPECT_FALSE(load().cached);
  write_file_atomic(folder_ / "train.jsonl", read_file(folder_ / "train.jsonl") + row("one more", "arr"));
  const TrainingData more = load();
  EXPECT_FALSE(more.cached);
  EXPECT_EQ(more.train_conversations + more.valid_conversations, 61);
  EXPECT_TRUE(load().cached);
  EXPECT_EQ(cache_files().size(), 4u);
}

TEST_F(TrainingDataTest, ADamagedCacheIsMadeAnew) {
  const TrainingData plain = load();
  recipe_.token_cache = (folder_ / "cache").string();
  load();
  std::string bytes = read_file(cache_files().at(0));
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  write_file_atomic(cache_files().at(0), bytes);
  const TrainingData again = load();
  EXPECT_FALSE(again.cached);
  expect_same(plain, again);
  EXPECT_TRUE(load().cached);
}

TEST_F(TrainingDataTest, ACacheThatCannotBeWrittenIsDoneWithout) {
  recipe_.token_cache = "/proc/attune-cache";
  expect_same(load(), load());
  recipe_.token_cache = (folder_ / "train.jsonl" / "below-a-file").string();
  EXPECT_EQ(load().train_conversations, 54);
}

TEST_F(TrainingDataTest, CountsWarnings) {
  write_file_atomic(folder_ / "train.jsonl",
                    row("What is it?", "arr, a very fine ship it be, with three masts and a crew of forty") +
                        row("what  is it", "arr, a very fine ship it be, with three masts and a crew of forty") +
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"hm\"}]}\n");
  recipe_.eval.eval_share = 0;
  const TrainingData data = load();
  EXPECT_EQ(data.problems.of[static_cast<std::size_t>(Problem::kRepeated)].rows, 1u);
  EXPECT_EQ(data.problems.of[static_cast<std::size_t>(Problem::kUnanswered)].first.at(0),
            (folder_ / "train.jsonl").string() + ":3");
  EXPECT_EQ(data.problems.errors(), 0u);
}

TEST_F(TrainingDataTest, RefusesErrors) {
  write_file_atomic(folder_ / "train.jsonl",
                    row("a", "b") + "{\"messages\":[{\"role\":\"assistant\",\"content\":\"b\"}]}\n");
  try {
    load();
    FAIL();
  } catch (const BadFile& error) {
    EXPECT_EQ(std::string(error.what()), fmt::format("[{}:2: message 1] expected the user to speak first, got role "
                                                     "\"assistant\"",
                                                     (folder_ / "train.jsonl").string()));
  }
  write_file_atomic(folder_ / "train.jsonl", row("a", "b"));
  const ChatTemplate endless(
      "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant: {% endif %}",
      "<s>", "");
  try {
    load_training_data(recipe_, endless, *tokenizer_);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("1 conversation: an answer whose end is not trained on"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace attune
