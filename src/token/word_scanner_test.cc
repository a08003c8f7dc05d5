// The hand-written scanners against the regular expressions that they stand for.
#include "token/word_scanner.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "token/regex.h"

namespace attune {
namespace {

std::vector<std::string> scanned(PieceEnd end_of, std::string_view text) {
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = end_of(text, begin);
    if (end <= begin || end > text.size()) return {"the scanner stands still"};
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

std::vector<std::string> matched(const Regex& regex, std::string_view text) {
  std::vector<std::string> pieces;
  for (const Match& match : regex.find(text)) {
    if (match.begin < match.end) pieces.emplace_back(text.substr(match.begin, match.end - match.begin));
  }
  return pieces;
}

// Few kinds of characters in many orders, with the odd ones of every kind.
std::string random_text(Rng& rng) {
  static const std::vector<std::string> kParts = {" ",
                                                  " ",
                                                  "  ",
                                                  "\n",
                                                  "\r\n",
                                                  "\t",
                                                  "\u00A0",
                                                  "\u2003",
                                                  "\u0085",
                                                  "\u3000",
                                                  "\u2028",
                                                  "a",
                                                  "Z",
                                                  "the",
                                                  "é",
                                                  "ő",
                                                  "ß",
                                                  "한",
                                                  "語",
                                                  "\u02B0",
                                                  "1",
                                                  "42",
                                                  "2024",
                                                  "½",
                                                  "Ⅷ",
                                                  "۱",
                                                  "①",
                                                  "'",
                                                  "'s",
                                                  "'S",
                                                  "'\u017F",
                                                  "'ll",
                                                  "'LL",
                                                  "'lL",
                                                  "'re",
                                                  "'Ve",
                                                  "'d",
                                                  "'M",
                                                  "''",
                                                  "'x",
                                                  ".",
                                                  ",",
                                                  "!?",
                                                  "--",
                                                  "/",
                                                  "(",
                                                  "😀",
                                                  "👨‍👩‍👧",
                                                  "\u0301",
                                                  "\u200B",
                                                  "\uFEFF",
                                                  "_",
                                                  "\x1C",
                                                  "\x0B",
                                                  std::string(1, '\0')};
  std::string text;
  for (std::uint64_t parts = rng.below(24); parts > 0; --parts) {
    if (rng.below(8) == 0) {
      char32_t c = static_cast<char32_t>(rng.below(rng.below(4) == 0 ? 0x110000 : 0x3000));
      if (c >= 0xD800 && c < 0xE000) c = U'x';
      append_utf8(text, c);
    } else {
      text += kParts[rng.below(kParts.size())];
    }
  }
  return text;
}

class Scanners : public testing::TestWithParam<std::string_view> {};

TEST_P(Scanners, AgreeWithTheRegexOnRandomUnicode) {
  const PieceEnd end_of = scanner_for(GetParam());
  ASSERT_NE(end_of, nullptr);
  const Regex regex(GetParam(), "test");
  Rng rng{17, 0, 0};
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng);
    ASSERT_EQ(scanned(end_of, text), matched(regex, text)) << testing::PrintToString(text);
  }
}

TEST_P(Scanners, AgreeOnEveryCodePoint) {
  const PieceEnd end_of = scanner_for(GetParam());
  const Regex regex(GetParam(), "test");
  for (char32_t first = 1; first < 0x110000; first += 512) {
    std::string text;
    for (char32_t c = first; c < first + 512 && c < 0x110000; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      text += " a";
      append_utf8(text, c);
      text += "1";
      append_utf8(text, c);
      text += ".";
    }
    ASSERT_EQ(scanned(end_of, text), matched(regex, text)) << static_cast<unsigned>(first);
  }
}

INSTANTIATE_TEST_SUITE_P(Patterns, Scanners, testing::Values(kGpt2Pattern, kLlama3Pattern, kQwen2Pattern));

TEST(Scanner, OnlyForTheExactPattern) {
  EXPECT_EQ(scanner_for(R"(\p{L}+|\s+)"), nullptr);
  EXPECT_EQ(scanner_for(""), nullptr);
}

}  // namespace
}  // namespace attune
