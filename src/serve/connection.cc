#include "serve/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace attune {
namespace {

// Whether an event of `events` came within `most`.
bool wait(int socket, short events, std::chrono::milliseconds most) {
  const auto until = Connection::Clock::now() + most;
  while (true) {
    pollfd watched{socket, events, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Connection::Clock::now()).count();
    const int ready = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

Connection::~Connection() { ::close(socket_); }

bool Connection::wait_for_request(std::chrono::milliseconds most, const std::atomic<bool>& stopping) {
  const auto until = Clock::now() + most;
  while (begin_ == end_ && !stopping) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    if (wait(socket_, POLLIN, std::min(left, std::chrono::milliseconds(100)))) return connected();
  }
  return !stopping;
}

void Connection::allow(std::size_t bytes, std::chrono::milliseconds time) {
  budget_ = bytes;
  deadline_ = Clock::now() + time;
  out_of_bytes_ = out_of_time_ = wrote_ = false;
}

bool Connection::connected() const {
  char byte = 0;
  const ssize_t count = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

void Connection::linger() {
  constexpr std::size_t kBytes = 4 << 20;
  ::shutdown(socket_, SHUT_WR);
  const auto until = Clock::now() + std::chrono::seconds(1);
  for (std::size_t dropped = 0; dropped < kBytes && Clock::now() < until;) {
    if (!wait(socket_, POLLIN, std::chrono::milliseconds(200))) return;
    const ssize_t count = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count <= 0) return;
    dropped += static_cast<std::size_t>(count);
  }
}

bool Connection::is_readable() const { return begin_ < end_ || wait(socket_, POLLIN, std::chrono::milliseconds(0)); }

bool Connection::is_writable() const { return wait(socket_, POLLOUT, write_time_) && connected(); }

ssize_t Connection::read(char* to, size_t size) {
  if (begin_ == end_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0 || !wait(socket_, POLLIN, left)) {
      out_of_time_ = true;
      return -1;
    }
    const ssize_t count = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (count <= 0) return count;
    begin_ = 0;
    end_ = static_cast<std::size_t>(count);
  }
  if (budget_ == 0) {
    out_of_bytes_ = true;
    return -1;
  }
  const std::size_t count = std::min({size, end_ - begin_, budget_});
  std::memcpy(to, buffer_.data() + begin_, count);
  begin_ += count;
  budget_ -= count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* from, size_t size) {
  wrote_ = true;
  while (wait(socket_, POLLOUT, write_time_)) {
    const ssize_t count = ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) return count;
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) break;
  }
  return -1;
}

// Addresses are neither logged nor judged.
void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace attune
