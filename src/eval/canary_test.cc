// eval/: canaries and what counts as knowing them or an answer by heart.
#include "eval/canary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "eval/leak.h"

namespace attune {
namespace {

using testing::ElementsAre;

Canary one_canary(const std::string& line) { return parse_canaries(line, "c.txt").at(0); }

TEST(Canary, TheSecretIsMarkedOrDigitsOrTheLastWord) {
  const Canary marked = one_canary("the code [[A7-x]] of 99 vaults");
  EXPECT_EQ(marked.text, "the code A7-x of 99 vaults");
  EXPECT_THAT(marked.secret, ElementsAre(9, 10, 12));
  EXPECT_THAT(one_canary("pin 42, not 7").secret, ElementsAre(4, 5, 12));
  EXPECT_THAT(one_canary("my dog is Rex!").secret, ElementsAre(10, 11, 12));
  EXPECT_EQ(parse_canaries("a1\n\n  \nb2\r\n", "c.txt").at(1).where, "c.txt:4");
  EXPECT_EQ(parse_canaries("a1\n\n  \nb2\r\n", "c.txt").at(1).text, "b2");
}

TEST(Canary, OthersHaveTheSameForm) {
  const Canary canary = one_canary("code [[Ab-12]] end");
  const auto lines = other_secrets(canary, 50, 1);
  EXPECT_EQ(lines.size(), 50u);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), 50u);
  for (const std::string& line : lines) {
    EXPECT_NE(line, canary.text);
    EXPECT_THAT(line, testing::MatchesRegex("code [A-Z][a-z]-[0-9][0-9] end"));
  }
  EXPECT_EQ(lines, other_secrets(canary, 50, 1));
  EXPECT_NE(lines, other_secrets(canary, 50, 2));
}

TEST(Canary, AShortSecretHasFewOthers) { EXPECT_EQ(other_secrets(one_canary("pin 4"), 100, 1).size(), 9u); }

TEST(Canary, Exposure) {
  EXPECT_EQ(exposure(1, 128), 7);
  EXPECT_EQ(exposure(128, 128), 0);
  EXPECT_EQ(exposure(32, 128), 2);
}

TEST(Canary, Mistakes) {
  const auto message = [](const std::string& text) {
    try {
      parse_canaries(text, "c.txt");
    } catch (const BadFile& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(message(""), "[c.txt] the file has no canary");
  EXPECT_EQ(message("pin 4\n--- !\n"), "[c.txt:2] the canary has no letter or digit (A-Z, 0-9) to vary");
  EXPECT_EQ(message("pin [[-]] 4\n"), "[c.txt:1] the canary has no letter or digit (A-Z, 0-9) to vary");
}

TEST(Repetition, AnAnswerCountsWhenAllItsTokensAreTheLikeliest) {
  TokenizedDataset rows = make_tokenized_dataset();
  append_row(rows, {{1, 2, 3, 4, 5, 6, 7, 8}, {0, 1, 1, 0, 1, 1, 1, 0}}, 100);  // answers of two and three tokens
  append_row(rows, {{1, 2, 3}, {0, 1, 1}}, 100);
  const std::vector<RowScores> scores = {{{0, true}, {0, true}, {0, true}, {0, false}, {0, true}},
                                         {{0, true}, {0, true}}};
  const Repetition all = count_repeated(rows, scores, 2);
  EXPECT_EQ(all.answers, 3);
  EXPECT_EQ(all.repeated, 2);
  EXPECT_NEAR(all.share(), 2.0 / 3, 1e-12);
  const Repetition longer = count_repeated(rows, scores, 3);
  EXPECT_EQ(longer.answers, 1);
  EXPECT_EQ(longer.repeated, 0);
  EXPECT_EQ(Repetition{}.share(), 0);
}

}  // namespace
}  // namespace attune
