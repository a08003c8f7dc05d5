#include "http/scripted_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>

namespace attune {
namespace {

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

bool receive_more(int connection, std::string& text) {
  char buffer[4096];
  const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
  if (got <= 0) return false;
  text.append(buffer, static_cast<std::size_t>(got));
  return true;
}

}  // namespace

ScriptedServer::ScriptedServer(std::vector<ScriptedAnswer> script) : script_(std::move(script)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 8) != 0 || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no port for the test server");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  stop_ = true;
  thread_.join();
  ::close(listener_);
}

std::string ScriptedServer::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

std::vector<SeenRequest> ScriptedServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void ScriptedServer::serve() {
  while (!stop_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
}

void ScriptedServer::answer(int connection) {
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos) {
    if (!receive_more(connection, text)) return;
  }
  SeenRequest request;
  const std::size_t end = text.find("\r\n\r\n");
  request.head = text.substr(0, end);
  request.method = text.substr(0, text.find(' '));
  request.target =
      text.substr(request.method.size() + 1, text.find(' ', request.method.size() + 1) - request.method.size() - 1);
  std::size_t length = 0;
  if (const std::size_t at = request.head.find("Content-Length: "); at != std::string::npos) {
    length = std::strtoul(request.head.c_str() + at + 16, nullptr, 10);
  }
  request.body = text.substr(end + 4);
  while (request.body.size() < length && receive_more(connection, request.body)) {
  }
  std::size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = std::min(seen_.size(), script_.size() - 1);
    seen_.push_back(request);
  }
  const ScriptedAnswer& answer = script_[index];
  using Fault = ScriptedAnswer::Fault;
  if (answer.fault == Fault::kCloseAtOnce) return;
  while (answer.fault == Fault::kHang && !stop_) {  // until the client has gone or the test is over
    pollfd gone{connection, POLLIN, 0};
    if (::poll(&gone, 1, 20) > 0) return;
  }
  std::string head = fmt::format("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", answer.status);
  for (const auto& [name, value] : answer.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (answer.status != 304) head += fmt::format("Content-Length: {}\r\n", answer.body.size());
  send_all(connection, head + "\r\n");
  if (request.method == "HEAD") return;
  if (answer.fault == Fault::kCutBody) {
    send_all(connection, std::string_view(answer.body).substr(0, answer.body.size() / 2));
  } else if (answer.fault == Fault::kSlow) {
    for (std::size_t i = 0; i < answer.body.size() && !stop_; ++i) {
      send_all(connection, std::string_view(answer.body).substr(i, 1));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  } else {
    send_all(connection, answer.body);
  }
}

}  // namespace attune
