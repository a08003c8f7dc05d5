// A line of text that is being edited: the text, the cursor, and where both lie on a terminal of some width. Knows
// nothing of keys or terminals.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attune {

// Text is UTF-8 and may contain line breaks. The cursor always stands between characters; what combines with a
// character (accents, joiners) moves and goes with it.
class LineBuffer {
 public:
  const std::string& text() const { return text_; }
  std::size_t cursor() const { return cursor_; }
  void set(std::string text);  // cursor at the end

  void insert(std::string_view text);  // invalid UTF-8 becomes U+FFFD, control characters but line breaks spaces
  void erase_before();                 // backspace
  void erase_after();                  // delete
  void erase_word_before();
  void erase_to_begin();
  void erase_to_end();
  void left();
  void right();
  void word_left();
  void word_right();
  void home() { cursor_ = 0; }
  void end() { cursor_ = text_.size(); }

 private:
  std::size_t before(std::size_t position) const;
  std::size_t after(std::size_t position) const;
  std::size_t word_before(std::size_t position) const;

  std::string text_;
  std::size_t cursor_ = 0;
};

// Row and column (from 0) on a terminal `width` columns wide of what follows `text`, which begins in row 0 at column
// `begin`. Wide characters take two columns and never straddle an edge.
struct ScreenPlace {
  int row = 0, column = 0;
  bool operator==(const ScreenPlace&) const = default;
};
ScreenPlace place_after(std::string_view text, int begin, int width);

}  // namespace attune
