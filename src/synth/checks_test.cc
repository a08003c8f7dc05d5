// Grounding and duplicates: what of the model's writing is fit to train on.
#include <gtest/gtest.h>

#include "synth/duplicates.h"
#include "synth/grounding.h"
#include "synth/words.h"

namespace attune {
namespace {

const char* const kSource =
    "The Lánchíd in Budapest was opened on 20 November 1849. István Széchenyi began it; the engineer was Adam Clark. "
    "It is 375.5 metres long, cost 6,575,000 forints and carries 12 000 cars. Model RTX-4090 is not on it.";

std::optional<std::string> missing(const char* answer, const char* source = kSource) {
  return Source(source).missing(answer);
}

TEST(Words, KnowNumbersNamesAndSentences) {
  const auto words = words_of("Évának 1,200.50 km-t: 80 000 x 2020 100. \"Ő\" 中文10km");
  std::vector<std::string> folded;
  for (const Word& word : words) folded.push_back(word.folded);
  EXPECT_EQ(folded, (std::vector<std::string>{"evanak", "1,200.50", "km", "t", "80 000", "x", "2020", "100", "o", "中",
                                              "文", "10", "km"}));
  EXPECT_TRUE(words[0].capital && words[0].begins);
  EXPECT_FALSE(words[2].capital || words[2].begins);
}

TEST(Grounding, LetsPassWhatTheSourceSays) {
  EXPECT_EQ(
      missing("The bridge in Budapest was opened in 1849; it was begun by Széchenyi, and Clark was its engineer."),
      std::nullopt);
  EXPECT_EQ(missing("It is 375,50 metres long and cost 6.575.000 forints. It carries 12,000 cars."), std::nullopt);
  EXPECT_EQ(missing("1. Opened: 20 November 1849.\n2. Length: 375.5 metres."), std::nullopt);
}

TEST(Grounding, FindsEndingsOfWords) {
  EXPECT_EQ(missing("A hidat Budapesten Clark Ádám építette.",
                    "Budapest hídja. Clark Ádámot hívták, hogy építse meg a hidat."),
            std::nullopt);
}

TEST(Grounding, FindsInventedNumbers) {
  EXPECT_EQ(missing("It was opened in 1850."), "1850");
  EXPECT_EQ(missing("It is 376 metres long."), "376");
  EXPECT_EQ(missing("The model is RTX-4080."), "4080");
  EXPECT_EQ(missing("It was 1849.11.21.", "On 1849.11.20. it opened."), "1849.11.21");
}

TEST(Grounding, FindsInventedNames) {
  EXPECT_EQ(missing("The engineer was William Clark."), "william");
  EXPECT_EQ(missing("It was opened by Kossuth."), "kossuth");
}

TEST(Grounding, FindsAnswersFromElsewhere) {
  EXPECT_EQ(missing("Photosynthesis transforms sunlight chemically inside leaves."), "photosynthesis");
}

TEST(Grounding, DoesNotTakeGermanNounsForNames) {
  std::string german;
  for (int i = 0; i < 8; ++i) german += "Der Hund im Garten sieht die Katze auf dem Dach und der Mann. ";
  EXPECT_EQ(missing("Ein Tier ist im Garten, der Hund sieht die Katze dort.", german.c_str()), std::nullopt);
}

TEST(Duplicates, AreTheSameQuestionOrNearlyTheSameWords) {
  Duplicates duplicates;
  const char* const answer = "It was opened on the twentieth of November in the year of the revolution and cost a lot.";
  EXPECT_EQ(duplicates.add("When was the bridge opened?", answer), Repeats::kNothing);
  EXPECT_EQ(duplicates.add("when was the BRIDGE opened", "In 1849."), Repeats::kQuestion);
  EXPECT_EQ(duplicates.add("When was that bridge opened?", answer), Repeats::kNearly);
  EXPECT_EQ(duplicates.add("Who built the bridge?", "Adam Clark built it."), Repeats::kNothing);
  EXPECT_EQ(duplicates.add("A?", "B"), Repeats::kNothing);
  EXPECT_EQ(duplicates.add("?", "!"), Repeats::kNothing);
}

}  // namespace
}  // namespace attune
