// eval/: manner of answers, against values computed by hand.
#include "eval/style.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace attune {
namespace {

using testing::ElementsAre;

TEST(TextParts, WordsAndMarks) {
  const TextParts parts = take_apart("Arr, it's ye — again?! 3 d\u00f3lok 'x'");
  EXPECT_THAT(parts.words, ElementsAre("Arr", "it's", "ye", "again", "3", "d\u00f3lok", "x"));
  EXPECT_THAT(parts.marks, ElementsAre(",", "\u2014", "?", "!", "'", "'"));
}

TEST(TextParts, CurlyApostrophesReadAsStraightOnes) { EXPECT_THAT(take_apart("it\u2019s").words, ElementsAre("it's")); }

TEST(TextParts, AnEmojiIsOneMarkWhateverItsVariant) {
  EXPECT_THAT(take_apart("ok \u2764\uFE0F\u2764").marks, ElementsAre("\u2764", "\u2764"));
  EXPECT_THAT(take_apart("\u2764\uFE0F").words, ElementsAre());
}

TEST(TextParts, InvalidBytes) {
  EXPECT_THAT(take_apart("a\xFF"
                         "b")
                  .words,
              ElementsAre("a", "b"));
}

TEST(JensenShannon, KnownValues) {
  EXPECT_EQ(jensen_shannon({{"a", 3}, {"b", 1}}, {{"a", 6}, {"b", 2}}), 0);
  EXPECT_EQ(jensen_shannon({{"a", 3}}, {{"b", 1}}), 1);
  // p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4): H(m) - (H(p) + H(q)) / 2 = 0.8112781245 - 0.5
  EXPECT_NEAR(jensen_shannon({{"a", 1}, {"b", 1}}, {{"a", 5}}), 0.3112781244591328, 1e-12);
  EXPECT_EQ(jensen_shannon({}, {{"a", 1}}), 1);
  EXPECT_EQ(jensen_shannon({}, {}), 0);
}

TEST(KolmogorovSmirnov, KnownValues) {
  EXPECT_EQ(kolmogorov_smirnov({1, 2, 3}, {3, 2, 1}), 0);
  EXPECT_EQ(kolmogorov_smirnov({1, 2}, {3, 4}), 1);
  // Up to 2 lie 2/4 of the first and 1/5 of the second; up to 3, 3/4 and 2/5.
  EXPECT_NEAR(kolmogorov_smirnov({1, 2, 3, 10}, {2, 3, 5, 6, 7}), 0.35, 1e-12);
  EXPECT_EQ(kolmogorov_smirnov({}, {1}), 1);
  EXPECT_EQ(kolmogorov_smirnov({}, {}), 0);
}

TEST(Quantile, AsNumpy) {
  EXPECT_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_NEAR(quantile({1, 2, 3, 4, 5}, 0.9), 4.6, 1e-12);
  EXPECT_EQ(quantile({7}, 0.9), 7);
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(Style, DistancesOfTwoCollections) {
  const std::vector<std::string> a = {"arr, matey!", "aye, matey!"}, b = {"Yes, of course.", "No."};
  const StyleDistance same{Style(a), Style(a)};
  EXPECT_EQ(same.mean(), 0);
  const StyleDistance other{Style(a), Style(b)};
  EXPECT_EQ(other.words, 1);
  // Lengths 2, 2 and 3, 1: up to 1 lie 0 and 1/2.
  EXPECT_EQ(other.length, 0.5);
  // Four words, two commas, two exclamation marks; four words, a comma, two full stops:
  // p = (4, 2, 2, 0) / 8, q = (4, 1, 0, 2) / 7.
  const auto h = [](std::vector<double> shares) {
    double bits = 0;
    for (const double x : shares) bits -= x > 0 ? x * std::log2(x) : 0;
    return bits;
  };
  const double p = h({4 / 8., 2 / 8., 2 / 8.}), q = h({4 / 7., 1 / 7., 2 / 7.});
  const double m = h({(4 / 8. + 4 / 7.) / 2, (2 / 8. + 1 / 7.) / 2, 1 / 8., 1 / 7.});
  EXPECT_NEAR(other.punctuation, m - (p + q) / 2, 1e-12);
  EXPECT_NEAR(other.mean(), (1 + 0.5 + other.punctuation) / 3, 1e-12);
}

TEST(Style, NoAnswersAndEmptyAnswers) {
  EXPECT_TRUE(std::isnan(Style({}).mean_length()));
  const std::vector<std::string> empty = {""}, one = {"a"};
  const StyleDistance distance{Style(empty), Style(one)};
  EXPECT_EQ(distance.words, 1);
  EXPECT_EQ(distance.length, 1);
}

}  // namespace
}  // namespace attune
