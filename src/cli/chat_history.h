// What was typed into earlier chats, for the Up key: a file of JSON strings, one a line, that only its owner can read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace attune {

// $XDG_STATE_HOME/attune/chat_history, by default in ~/.local/state; absent when no home is known.
std::optional<fs::path> chat_history_path();

class ChatHistory {
 public:
  // Reads the file, if there is one; lines that are no JSON strings are skipped. Throws UserError when it cannot be
  // read or made private (0600).
  explicit ChatHistory(fs::path path);

  const std::vector<std::string>& entries() const { return entries_; }  // oldest first

  // Adds to the file at once, unless it repeats the last entry. UserError when that fails.
  void add(const std::string& text);

 private:
  fs::path path_;
  std::vector<std::string> entries_;
};

// The file is cut back to so many entries when it holds twice as many.
inline constexpr std::size_t kHistoryEntries = 1000;

}  // namespace attune
