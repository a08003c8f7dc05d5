// Lines from a terminal, with editing and history. The terminal is in raw mode only while a line is being read, and
// Ctrl-C stays a signal throughout, so that it means the same at every moment.
#pragma once

#include <string>
#include <vector>

#include "cli/input.h"
#include "cli/line_buffer.h"

namespace attune {

// One thread. Keeps a reference to the input, which must be a terminal's.
class LineEditor {
 public:
  explicit LineEditor(Input& input) : input_(input) {}

  std::vector<std::string> history;  // oldest first; Up and Down walk through it; the caller adds to it

  // Shows `prompt` (which takes `columns` columns) and reads a line. kInterrupted: Ctrl-C or SIGTERM; the flag stays
  // set. kEnd: Ctrl-D on an empty line, or the terminal is gone. Pasted text keeps its line breaks.
  Input::Got read(const std::string& prompt, int columns, std::string& line);

 private:
  bool key(char byte);  // false: the line is complete
  void escape();
  void paste();
  void walk(int step);
  void draw();

  Input& input_;
  LineBuffer buffer_;
  std::string prompt_;
  int prompt_columns_ = 0;
  int cursor_row_ = 0;      // where the last drawing left the cursor, from the prompt's row
  std::size_t walked_ = 0;  // history.size(): the line being written, else the entry that is shown
  std::string written_;     // the line being written, while an entry is shown
};

}  // namespace attune
