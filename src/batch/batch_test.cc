// batch/: packing is a permutation that respects the row length; batches place every token and target where it belongs.
#include "batch/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/rng.h"

namespace attune {
namespace {

std::vector<std::int64_t> random_lengths(std::size_t count) {
  Rng rng{5, 0, 0};
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < count; ++i) lengths.push_back(static_cast<std::int64_t>(rng.below(180)));
  return lengths;
}

TEST(Packing, EveryConversationOnceAndNoRowTooLong) {
  const auto lengths = random_lengths(1000);
  const auto rows = pack_epoch(lengths, 0, {.row_tokens = 256, .packing = true, .seed = 1});
  std::set<std::int32_t> seen;
  std::int64_t tokens = 0;
  for (const PackedRow& row : rows) {
    std::int64_t sum = 0;
    for (const std::int32_t i : row) {
      EXPECT_TRUE(seen.insert(i).second);
      sum += lengths[static_cast<std::size_t>(i)];
    }
    EXPECT_LE(sum, 256);
    tokens += sum;
  }
  EXPECT_EQ(seen.size(), lengths.size() - static_cast<std::size_t>(std::count(lengths.begin(), lengths.end(), 0)));
  EXPECT_GT(static_cast<double>(tokens) / (256.0 * static_cast<double>(rows.size())), 0.95);
}

TEST(Packing, IsAFunctionOfSeedAndEpoch) {
  const auto lengths = random_lengths(100);
  const PackingOptions options{.row_tokens = 256, .packing = true, .seed = 1};
  EXPECT_EQ(pack_epoch(lengths, 0, options), pack_epoch(lengths, 0, options));
  EXPECT_NE(pack_epoch(lengths, 0, options), pack_epoch(lengths, 1, options));
  EXPECT_NE(pack_epoch(lengths, 0, options), pack_epoch(lengths, 0, {.row_tokens = 256, .packing = true, .seed = 2}));
}

TEST(Packing, InOrderForMeasuring) {
  const std::vector<std::int64_t> lengths = {3, 4, 9, 2, 6, 1};
  EXPECT_EQ(pack_in_order(lengths, 8), (std::vector<PackedRow>{{0, 1}, {2}, {3, 4}, {5}}));
  EXPECT_TRUE(pack_in_order({}, 8).empty());
}

TEST(Batch, TargetsAreTheNextTokensWhereTheMaskSaysSo) {
  TokenizedDataset data = make_tokenized_dataset();
  append_row(data, {{10, 11, 12, 13}, {1, 0, 1, 1}}, 100);
  append_row(data, {{20, 21, 22}, {0, 0, 1}}, 100);
  append_row(data, {{30, 31}, {1, 0}}, 100);              // only the first token is marked: nothing to train
  append_row(data, {{40, 41, 42, 43}, {0, 1, 0, 1}}, 3);  // cut
  EXPECT_EQ(data.rows(), 3);
  EXPECT_EQ(data.untrained_rows, 1);
  EXPECT_EQ(data.cut_rows, 1);
  EXPECT_EQ(data.cut_tokens, 1);
  EXPECT_EQ(data.trained_tokens(), 2 + 1 + 1);

  Batch batch;
  fill_batch(batch, data, std::vector<PackedRow>{{1, 0}, {2}});
  EXPECT_EQ(batch.ids.size(), 32u);
  EXPECT_EQ(batch.sequence_starts, (std::vector<std::int32_t>{0, 3, 7, 10, 32}));
  const std::vector<std::int32_t> ids(batch.ids.begin(), batch.ids.begin() + 10);
  const std::vector<std::int32_t> targets(batch.targets.begin(), batch.targets.begin() + 10);
  const std::vector<std::int32_t> positions(batch.positions.begin(), batch.positions.begin() + 10);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{20, 21, 22, 10, 11, 12, 13, 40, 41, 42}));
  EXPECT_EQ(targets, (std::vector<std::int32_t>{-1, 22, -1, -1, 12, 13, -1, 41, -1, -1}));
  EXPECT_EQ(positions, (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 3, 0, 1, 2}));
  EXPECT_EQ(batch.supervised_tokens, 4);
  EXPECT_TRUE(std::all_of(batch.targets.begin() + 10, batch.targets.end(), [](int t) { return t == -1; }));
}

}  // namespace
}  // namespace attune
