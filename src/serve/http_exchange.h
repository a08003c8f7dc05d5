// A request and its reply, free of any HTTP library: what the transport (http_server.h) and what answers (api.h) share.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attune {

struct HttpRequest {
  std::string method, path;                             // path without the query
  std::function<std::string(const char* name)> header;  // "" when absent
  std::string body;
  std::function<bool()> connected;  // whether the client still listens; any thread
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Instead of a body: writes it piece by piece. `write` returns false when the client is gone. May not throw.
  using Write = std::function<bool(std::string_view)>;
  std::function<void(const Write& write)> stream;
};

// Who answers. Called by many threads at once; may throw what comes, which becomes a 500.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Asked when the header is known and before the body is read: a reply is sent and the connection closed.
  virtual std::optional<HttpReply> refuse(const HttpRequest& head) = 0;
  virtual HttpReply answer(const HttpRequest& request) = 0;

  // The reply to a request that is no HTTP, or breaks a limit of the transport.
  virtual HttpReply transport_error(int status, const std::string& message) = 0;
};

}  // namespace attune
