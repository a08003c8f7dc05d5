// HTTP/1.1 on a TCP port: cpp-httplib behind limits of our own. A connection has one thread; its request must arrive
// within a time and a size, whatever the client does; what it sends beyond that is not stored.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "serve/http_exchange.h"

namespace attune {

struct HttpLimits {
  std::size_t connections = 256;  // more are told 503 and closed
  std::size_t header_bytes = 32 * 1024;
  std::size_t body_bytes = 1'000'000;
  std::chrono::milliseconds header_time{10'000};  // from the first byte to the end of the header
  std::chrono::milliseconds body_time{30'000};
  std::chrono::milliseconds idle_time{5'000};    // between two requests on one connection
  std::chrono::milliseconds write_time{30'000};  // a client that reads nothing for so long is dropped
};

class HttpServer {
 public:
  // Binds at once. UserError when the address is unknown or the port is taken. Port 0: any free one.
  HttpServer(const std::string& host, int port, const HttpLimits& limits, HttpHandler& handler);
  ~HttpServer();  // stop()

  int port() const;

  // Begins to answer, on threads of its own.
  void start();

  // Accepts nothing more, lets the requests under way end, and returns when the last one has.
  void stop();

 private:
  class Listener;
  std::unique_ptr<Listener> listener_;
};

}  // namespace attune
