// A connection as cpp-httplib sees it, with budgets of time and bytes for what the client sends.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>

namespace attune {

// Owns the socket. One thread, but connected() may be asked by any.
class Connection : public httplib::Stream {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(int socket, std::chrono::milliseconds write_time) : socket_(socket), write_time_(write_time) {}
  ~Connection() override;

  // Waits for the first byte of a request. False: none came in time, the client left, or `stopping` became true.
  bool wait_for_request(std::chrono::milliseconds most, const std::atomic<bool>& stopping);

  // From now on so many bytes may be read until then; read() fails beyond either.
  void allow(std::size_t bytes, std::chrono::milliseconds time);
  bool out_of_bytes() const { return out_of_bytes_; }
  bool out_of_time() const { return out_of_time_; }
  bool wrote() const { return wrote_; }

  bool connected() const;

  // Sends what is still to be sent and reads a little of what the client may still be sending, so that it sees the
  // reply rather than a reset.
  void linger();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  const int socket_;
  const std::chrono::milliseconds write_time_;
  std::size_t budget_ = 0;
  Clock::time_point deadline_;
  bool out_of_bytes_ = false, out_of_time_ = false, wrote_ = false;
  std::array<char, 8192> buffer_{};  // cpp-httplib reads headers byte by byte
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace attune
