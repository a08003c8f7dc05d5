// Standard input byte by byte, with waits that a signal ends: the flag of base/interrupt.h is watched together with the
// input, so that a Ctrl-C is never lost between the two.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

namespace attune {

// One per process: it reads ahead. One thread. Needs watch_interrupts().
class Input {
 public:
  explicit Input(int descriptor) : descriptor_(descriptor) {}

  enum class Got { kByte, kInterrupted, kEnd };
  // Waits for the next byte. kInterrupted: the flag is set (it stays set). kEnd: nothing will come any more.
  Got next(char& byte);

  // The next byte if one comes within `milliseconds`: the rest of a key's escape sequence.
  std::optional<char> soon(int milliseconds);

  bool empty() const { return begin_ == end_; }  // nothing is read ahead

  // A line without its end ("\n" or "\r\n"). A last line without one counts. After kInterrupted the part read so far
  // is forgotten, as a terminal forgets it.
  Got line(std::string& text);

 private:
  bool fill();  // false at the end of the input

  int descriptor_;
  std::array<char, 4096> buffer_{};
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace attune
