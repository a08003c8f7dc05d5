// Editing a line: characters are whole whatever their bytes, and the cursor lands where a terminal puts it.
#include "cli/line_buffer.h"

#include <gtest/gtest.h>

namespace attune {
namespace {

LineBuffer buffer_of(const std::string& text) {
  LineBuffer buffer;
  buffer.insert(text);
  return buffer;
}

TEST(LineBuffer, InsertsAtTheCursorAndErasesOnBothSides) {
  LineBuffer buffer = buffer_of("helo");
  buffer.left();
  buffer.insert("l");
  EXPECT_EQ(buffer.text(), "hello");
  buffer.erase_before();
  buffer.erase_after();
  EXPECT_EQ(buffer.text(), "hel");
  buffer.home();
  buffer.erase_before();  // nothing is there
  buffer.erase_after();
  EXPECT_EQ(buffer.text(), "el");
}

TEST(LineBuffer, ACharacterIsErasedWithAllItsBytesAndAccents) {
  LineBuffer buffer = buffer_of("tűz e\u0301");  // an e with a combining accent
  buffer.erase_before();
  EXPECT_EQ(buffer.text(), "tűz ");
  buffer.left();
  buffer.left();
  buffer.erase_before();
  EXPECT_EQ(buffer.text(), "tz ");
}

TEST(LineBuffer, WordsEndAtSpaces) {
  LineBuffer buffer = buffer_of("egy két  három");
  buffer.erase_word_before();
  EXPECT_EQ(buffer.text(), "egy két  ");
  buffer.word_left();
  EXPECT_EQ(buffer.cursor(), 4u);
  buffer.erase_to_end();
  EXPECT_EQ(buffer.text(), "egy ");
  buffer.home();
  buffer.word_right();
  EXPECT_EQ(buffer.cursor(), 3u);
}

TEST(LineBuffer, TakesNoControlCharactersAndNoInvalidBytes) {
  EXPECT_EQ(buffer_of("a\033[2Jb\x7F\xFF\nc").text(), "a [2Jb \uFFFD\nc");
}

TEST(PlaceAfter, WrapsAtTheEdgeAndNeverSplitsAWideCharacter) {
  EXPECT_EQ(place_after("abc", 2, 10), (ScreenPlace{0, 5}));
  EXPECT_EQ(place_after("12345678", 2, 10), (ScreenPlace{1, 0}));
  EXPECT_EQ(place_after("a\nb", 2, 10), (ScreenPlace{1, 1}));
  EXPECT_EQ(place_after("é\u0301", 0, 10), (ScreenPlace{0, 1}));
  EXPECT_EQ(place_after("1234567漢", 2, 10), (ScreenPlace{1, 2}));
}

}  // namespace
}  // namespace attune
