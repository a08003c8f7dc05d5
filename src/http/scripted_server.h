// Test only: an HTTP server on 127.0.0.1 that answers from a script, faults included, and remembers what it was asked.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace attune {

struct ScriptedAnswer {
  enum class Fault { kNone, kHang, kCutBody, kCloseAtOnce, kSlow };
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Fault fault = Fault::kNone;  // kSlow: the body in pieces of one byte, 20 ms apart
};

struct SeenRequest {
  std::string method, target, head, body;  // head: everything before the empty line
};

// Answers requests in order; the last answer repeats. One connection at a time, closed after each answer.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<ScriptedAnswer> script);
  ~ScriptedServer();

  std::string url(const std::string& path = "/") const;
  std::vector<SeenRequest> seen() const;

 private:
  void serve();
  void answer(int connection);
  std::vector<ScriptedAnswer> script_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;
  std::thread thread_;
};

}  // namespace attune
