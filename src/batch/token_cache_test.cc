// A data set that went through the cache is the same, and a file that is damaged, stale or cut short is never used.
#include "batch/token_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/rng.h"

namespace attune {
namespace {

class TokenCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("token-cache-{}", ::getpid());
    fs::remove_all(folder_);
    path_ = folder_ / "deep" / "x.tokens";
  }
  void TearDown() override { fs::remove_all(folder_); }

  static TokenizedDataset random_rows(int count, std::uint64_t seed) {
    Rng rng{seed, 0, 0};
    TokenizedDataset rows = make_tokenized_dataset();
    for (int i = 0; i < count; ++i) {
      EncodedConversation row;
      for (std::uint64_t t = rng.below(30); t > 0; --t) {
        row.tokens.push_back(static_cast<TokenId>(rng.below(500)));
        row.mask.push_back(rng.below(2) == 0);
      }
      append_row(rows, row, 20);
    }
    return rows;
  }
  static void expect_same(const TokenizedDataset& a, const TokenizedDataset& b) {
    EXPECT_TRUE(std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end()));
    EXPECT_TRUE(std::equal(a.mask.begin(), a.mask.end(), b.mask.begin(), b.mask.end()));
    EXPECT_TRUE(std::equal(a.starts.begin(), a.starts.end(), b.starts.begin(), b.starts.end()));
    EXPECT_EQ(a.cut_rows, b.cut_rows);
    EXPECT_EQ(a.cut_tokens, b.cut_tokens);
    EXPECT_EQ(a.untrained_rows, b.untrained_rows);
  }
  void write(const TokenizedDataset& valid) {
    TokenCacheWriter writer(path_, "key");
    TokenizedDataset first = random_rows(70, 1), second = random_rows(31, 2);
    writer.append(first);
    writer.append(second);
    writer.commit(valid, Json{{"digest", "d"}});
  }
  bool opens() { return open_token_cache(path_, "key", 500).has_value(); }

  fs::path folder_, path_;
};

TEST_F(TokenCacheTest, GivesBackWhatWasWritten) {
  const TokenizedDataset valid = random_rows(9, 3);
  write(valid);
  const auto cached = open_token_cache(path_, "key", 500);
  ASSERT_TRUE(cached);
  expect_same(cached->valid, valid);
  TokenizedDataset both = random_rows(70, 1);
  const TokenizedDataset second = random_rows(31, 2);
  const std::int64_t offset = both.starts.back();
  both.tokens.own().insert(both.tokens.own().end(), second.tokens.begin(), second.tokens.end());
  both.mask.own().insert(both.mask.own().end(), second.mask.begin(), second.mask.end());
  for (std::size_t i = 1; i < second.starts.size(); ++i) both.starts.push_back(second.starts[i] + offset);
  both.cut_rows += second.cut_rows;
  both.cut_tokens += second.cut_tokens;
  both.untrained_rows += second.untrained_rows;
  expect_same(cached->train, both);
  EXPECT_EQ(cached->extra["digest"], "d");
  EXPECT_THROW(TokenizedDataset(cached->train).tokens.own(), InternalError);
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  for (const auto& entry : fs::directory_iterator(path_.parent_path())) EXPECT_EQ(entry.path(), path_);
}

TEST_F(TokenCacheTest, EmptyPartsAndNoCommit) {
  {
    TokenCacheWriter abandoned(path_, "key");
    TokenizedDataset rows = random_rows(5, 4);
    abandoned.append(rows);
    EXPECT_EQ(rows.rows(), 0);
  }
  EXPECT_TRUE(fs::is_empty(path_.parent_path()));
  EXPECT_FALSE(opens());
  TokenCacheWriter(path_, "key").commit(make_tokenized_dataset(), Json::object());
  const auto cached = open_token_cache(path_, "key", 500);
  ASSERT_TRUE(cached);
  EXPECT_EQ(cached->train.rows(), 0);
  EXPECT_EQ(cached->valid.rows(), 0);
}

TEST_F(TokenCacheTest, AnyDamageIsNoticed) {
  write(random_rows(3, 3));
  const std::string whole = read_file(path_);
  ASSERT_TRUE(opens());
  EXPECT_FALSE(open_token_cache(path_, "other key", 500));
  EXPECT_FALSE(open_token_cache(path_, "key", 400));  // ids of a larger vocabulary
  Rng rng{5, 0, 0};
  for (int i = 0; i < 200; ++i) {
    std::string damaged = whole;
    const std::size_t at = i < 100 ? damaged.size() - 1 - static_cast<std::size_t>(i) : rng.below(damaged.size());
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
    write_file_atomic(path_, damaged);
    EXPECT_FALSE(opens()) << at;
  }
  for (std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{80}, whole.size() / 2, whole.size() - 1}) {
    write_file_atomic(path_, whole.substr(0, size));
    EXPECT_FALSE(opens()) << size;
  }
  write_file_atomic(path_, whole + "x");
  EXPECT_FALSE(opens());
  write_file_atomic(path_, whole);
  EXPECT_TRUE(opens());
}

TEST(CacheHeader, RefusesWhatCannotBe) {
  const auto header = [](const char* rows, const char* version) {
    return fmt::format(R"({{"version":{},"key":"k","train":{{"rows":{},"tokens":2,"cut_rows":0,"cut_tokens":0,)"
                       R"("untrained_rows":0}},"valid":{{"rows":0,"tokens":0,"cut_rows":0,"cut_tokens":0,)"
                       R"("untrained_rows":0}},"payload_sha256":"","extra":{{}}}})",
                       version, rows);
  };
  EXPECT_EQ(read_cache_header(header("1", "1"), 16 + 16 + 8).train.tokens, 2);
  EXPECT_THROW(read_cache_header(header("1", "2"), 40), BadFile);
  EXPECT_THROW(read_cache_header(header("1", "1"), 41), BadFile);
  EXPECT_THROW(read_cache_header(header("-1", "1"), 24), BadFile);
  EXPECT_THROW(read_cache_header(header("2305843009213693951", "1"), 40), BadFile);
  EXPECT_THROW(read_cache_header("[]", 0), BadFile);
  EXPECT_THROW(read_cache_header("{", 0), BadFile);
}

}  // namespace
}  // namespace attune
