#include "cli/input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "base/interrupt.h"

namespace attune {

bool Input::fill() {
  while (true) {
    const ssize_t count = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    begin_ = 0;
    end_ = static_cast<std::size_t>(count);
    return true;
  }
}

Input::Got Input::next(char& byte) {
  while (empty()) {
    std::array<pollfd, 2> watched = {{{descriptor_, POLLIN, 0}, {interrupt_descriptor(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;  // EINTR: the descriptor of the flag tells the rest
    if (interrupt_requested()) return Got::kInterrupted;
    if (watched[0].revents != 0 && !fill()) return Got::kEnd;
  }
  byte = buffer_[begin_++];
  return Got::kByte;
}

std::optional<char> Input::soon(int milliseconds) {
  if (empty()) {
    pollfd watched{descriptor_, POLLIN, 0};
    if (::poll(&watched, 1, milliseconds) <= 0 || !fill()) return std::nullopt;
  }
  return buffer_[begin_++];
}

Input::Got Input::line(std::string& text) {
  text.clear();
  char byte = 0;
  Got got = next(byte);
  for (; got == Got::kByte && byte != '\n'; got = next(byte)) text += byte;
  if (got == Got::kInterrupted) text.clear();
  if (got == Got::kEnd && !text.empty()) got = Got::kByte;
  if (text.ends_with('\r')) text.pop_back();
  return got;
}

}  // namespace attune
