#include "cli/line_editor.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/utf8.h"

namespace attune {
namespace {

constexpr int kEscapeMilliseconds = 50;  // how long the rest of an escape sequence may take
constexpr char kControlA = 1, kControlB = 2, kControlD = 4, kControlE = 5, kControlF = 6, kControlH = 8, kControlK = 11,
               kControlL = 12, kControlN = 14, kControlP = 16, kControlU = 21, kControlW = 23, kEscape = 27,
               kBackspace = 127;

int terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// Keys come as they are typed and are not echoed. Ctrl-C stays a signal; Ctrl-\ would leave the terminal raw.
class RawMode {
 public:
  RawMode() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VQUIT] = _POSIX_VDISABLE;
    raw_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    fmt::print("\033[?2004h");  // pastes come marked
  }
  ~RawMode() {
    fmt::print("\033[?2004l");
    std::fflush(stdout);
    if (raw_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  termios before_{};
  bool raw_ = false;
};

}  // namespace

Input::Got LineEditor::read(const std::string& prompt, int columns, std::string& line) {
  prompt_ = prompt;
  prompt_columns_ = columns;
  buffer_.set("");
  walked_ = history.size();
  cursor_row_ = 0;
  std::optional<RawMode> raw(std::in_place);
  draw();
  char byte = 0;
  Input::Got got = input_.next(byte);
  for (; got == Input::Got::kByte; got = input_.next(byte)) {
    if (byte == kControlD && buffer_.text().empty()) {
      got = Input::Got::kEnd;
      break;
    }
    if (!key(byte)) break;
    if (input_.empty()) draw();
  }
  buffer_.end();
  draw();
  raw.reset();  // before the line break: who sees it may rely on the terminal's own mode
  fmt::print("\n");
  std::fflush(stdout);
  line = buffer_.text();
  return got;
}

bool LineEditor::key(char byte) {
  switch (byte) {
    case '\n':
    case '\r':
      return false;
    case kControlA:
      buffer_.home();
      break;
    case kControlB:
      buffer_.left();
      break;
    case kControlD:
      buffer_.erase_after();
      break;
    case kControlE:
      buffer_.end();
      break;
    case kControlF:
      buffer_.right();
      break;
    case kControlH:
    case kBackspace:
      buffer_.erase_before();
      break;
    case kControlK:
      buffer_.erase_to_end();
      break;
    case kControlL:
      fmt::print("\033[H\033[2J");
      cursor_row_ = 0;
      break;
    case kControlN:
      walk(1);
      break;
    case kControlP:
      walk(-1);
      break;
    case kControlU:
      buffer_.erase_to_begin();
      break;
    case kControlW:
      buffer_.erase_word_before();
      break;
    case kEscape:
      escape();
      break;
    default: {
      std::string character(1, byte);
      while (incomplete_utf8_tail(character) > 0) {
        const auto next = input_.soon(kEscapeMilliseconds);
        if (!next) break;
        character += *next;
      }
      if (static_cast<unsigned char>(byte) >= ' ' || byte == '\t') buffer_.insert(character);
    }
  }
  return true;
}

// What follows ESC: the sequences of xterm, the Linux console and their relatives. Unknown ones are swallowed.
void LineEditor::escape() {
  const auto first = input_.soon(kEscapeMilliseconds);
  if (!first) return;
  if (*first == 'b') return buffer_.word_left();
  if (*first == 'f') return buffer_.word_right();
  if (*first == '\r' || *first == '\n') return buffer_.insert("\n");  // Alt-Enter
  if (*first == kBackspace || *first == kControlH) return buffer_.erase_word_before();
  if (*first != '[' && *first != 'O') return;
  std::string parameters;
  char last = 0;
  while (const auto next = input_.soon(kEscapeMilliseconds)) {
    if (*next >= '@' && *next <= '~') {
      last = *next;
      break;
    }
    if (parameters.size() < 16) parameters += *next;
  }
  const bool by_word = parameters == "1;5" || parameters == "1;3";
  switch (last) {
    case 'A':
      return walk(-1);
    case 'B':
      return walk(1);
    case 'C':
      return by_word ? buffer_.word_right() : buffer_.right();
    case 'D':
      return by_word ? buffer_.word_left() : buffer_.left();
    case 'H':
      return buffer_.home();
    case 'F':
      return buffer_.end();
    case '~':
      if (parameters == "1" || parameters == "7") return buffer_.home();
      if (parameters == "4" || parameters == "8") return buffer_.end();
      if (parameters == "3") return buffer_.erase_after();
      if (parameters == "200") return paste();
      return;
    default:
      return;
  }
}

void LineEditor::paste() {
  static constexpr std::string_view kEnd = "\033[201~";
  std::string text;
  char byte = 0;
  while (!text.ends_with(kEnd) && input_.next(byte) == Input::Got::kByte) text += byte == '\r' ? '\n' : byte;
  if (text.ends_with(kEnd)) text.resize(text.size() - kEnd.size());
  buffer_.insert(text);
}

void LineEditor::walk(int step) {
  if ((step < 0 && walked_ == 0) || (step > 0 && walked_ >= history.size())) return;
  if (walked_ == history.size()) written_ = buffer_.text();
  walked_ = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(walked_) + step);
  buffer_.set(walked_ == history.size() ? written_ : history[walked_]);
}

void LineEditor::draw() {
  const int width = terminal_width();
  const std::string& text = buffer_.text();
  std::string out = "\r";
  if (cursor_row_ > 0) out += fmt::format("\033[{}A", cursor_row_);
  out += "\033[J" + prompt_;
  for (const char byte : text) {
    if (byte == '\n') out += '\r';
    out += byte;
  }
  const ScreenPlace end = place_after(text, prompt_columns_, width);
  const ScreenPlace cursor = place_after(std::string_view(text).substr(0, buffer_.cursor()), prompt_columns_, width);
  // A terminal waits at the right edge before it wraps; a character and a backspace make it wrap now.
  if (end.column == 0 && !text.empty() && text.back() != '\n') out += " \b";
  if (end.row > cursor.row) out += fmt::format("\033[{}A", end.row - cursor.row);
  out += '\r';
  if (cursor.column > 0) out += fmt::format("\033[{}C", cursor.column);
  fmt::print("{}", out);
  std::fflush(stdout);
  cursor_row_ = cursor.row;
}

}  // namespace attune
