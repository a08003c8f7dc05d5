#include "synth/chunk.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "synth/words.h"

namespace attune {
namespace {

std::string sentence(int number, std::size_t length) {
  std::string text = fmt::format("Sentence {} ", number);
  while (text.size() + 1 < length) text += "word ";
  text.resize(length - 1);
  if (text.back() == ' ') text.back() = 'x';
  return text + ".";
}

TEST(Chunks, BeginAtHeadingsOnceHalfFull) {
  const Document document{
      "d", {{1, "Guide"}, {0, sentence(1, 80)}, {2, "Install"}, {0, sentence(2, 90)}, {2, "Use"}, {0, "Run it."}}};
  const auto chunks = chunks_of(document, {.size = 200, .overlap = 0});
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].heading, "Guide");
  EXPECT_EQ(chunks[0].text, "Guide\n\n" + sentence(1, 80) + "\n\nInstall\n\n" + sentence(2, 90));
  EXPECT_EQ(chunks[1].heading, "Guide > Use");
  EXPECT_EQ(chunks[1].text, "Use\n\nRun it.");
  EXPECT_EQ(chunks[1].number, 2);
  EXPECT_EQ(chunks[1].document, "d");
}

TEST(Chunks, RepeatTheLastSentencesWhereASectionIsCut) {
  std::string paragraph;
  for (int i = 0; i < 8; ++i) paragraph += sentence(i, 50) + " ";
  const auto chunks = chunks_of({"d", {{0, paragraph}}}, {.size = 210, .overlap = 60});
  ASSERT_GE(chunks.size(), 2u);
  EXPECT_TRUE(chunks[0].text.ends_with(sentence(3, 50)));
  EXPECT_TRUE(chunks[1].text.starts_with(sentence(3, 50)));
}

TEST(Chunks, AHeadingIsNeverTheEndOfOne) {
  const Document document{"d", {{0, sentence(1, 90)}, {1, "Next"}, {0, sentence(2, 150)}}};
  const auto chunks = chunks_of(document, {.size = 200, .overlap = 0});
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].text, sentence(1, 90));
  EXPECT_EQ(chunks[1].text, "Next\n\n" + sentence(2, 150));
  EXPECT_EQ(chunks[1].heading, "Next");
}

TEST(Chunks, OnlyHeadingsAreNone) { EXPECT_TRUE(chunks_of({"d", {{1, "A"}, {2, "B"}}}, {}).empty()); }

// Whatever the document: no chunk is too long, and no word is lost.
TEST(Chunks, HoldEveryWordAndNeverTooMany) {
  Rng rng{7};
  for (int round = 0; round < 200; ++round) {
    Document document{"d", {}};
    std::string all;
    for (std::uint64_t block = 0, blocks = 1 + rng.below(12); block < blocks; ++block) {
      std::string text;
      for (std::uint64_t word = 0, words = 1 + rng.below(60); word < words; ++word) {
        text += std::string(1 + rng.below(rng.below(20) == 0 ? 300 : 9), static_cast<char>('a' + rng.below(26)));
        text += rng.below(5) == 0 ? ". É" : " ";
      }
      while (text.ends_with(' ')) text.pop_back();
      document.blocks.push_back({rng.below(4) == 0 ? static_cast<int>(1 + rng.below(6)) : 0, text});
      if (document.blocks.back().level == 0) all += text + " ";
    }
    const ChunkOptions options{.size = 100 + static_cast<std::int64_t>(rng.below(300)),
                               .overlap = static_cast<std::int64_t>(rng.below(50))};
    std::string chunked;
    for (const Chunk& chunk : chunks_of(document, options)) {
      EXPECT_LE(length_of(chunk.text), static_cast<std::size_t>(options.size));
      EXPECT_FALSE(chunk.text.empty());
      chunked += chunk.text + " ";
    }
    for (std::size_t begin = 0; begin < all.size();) {  // in pieces of at most 90, as the longest words are cut
      const std::size_t end = all.find(' ', begin);
      EXPECT_TRUE(end - begin > 90 || chunked.find(all.substr(begin, end - begin)) != chunked.npos);
      begin = end + 1;
    }
  }
}

TEST(Chunks, RefuseSizesOutOfRange) {
  EXPECT_THROW(check_chunk_options({.size = 99, .overlap = 0}), UserError);
  EXPECT_THROW(check_chunk_options({.size = 1000, .overlap = 501}), UserError);
}

TEST(Sentences, EndWhereTheyEnd) {
  using Sentences = std::vector<std::string_view>;
  EXPECT_EQ(sentences_of("It cost 3.50 euros. \"Why?\" she asked. J. Smith paid! Pl. így."),
            (Sentences{"It cost 3.50 euros.", "\"Why?\" she asked.", "J. Smith paid!", "Pl. így."}));
  EXPECT_EQ(sentences_of("一。二？\n three"), (Sentences{"一。", "二？", "three"}));
  EXPECT_TRUE(sentences_of(" \n ").empty());
}

}  // namespace
}  // namespace attune
