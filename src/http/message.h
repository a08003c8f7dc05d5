// One HTTP request and its response, as values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"
#include "http/secret.h"

namespace attune {

// Whether two field names (or other tokens of the protocol) are the same but for the case of ASCII letters.
bool equal_without_case(std::string_view a, std::string_view b);

// Header fields in order; names compare without case, as RFC 9110 has it.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}

  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // The first field of that name.
  std::optional<std::string> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Part of a file, read while it is sent: never whole in memory.
struct FileSlice {
  fs::path path;
  std::uint64_t offset = 0, length = 0;
};

using RequestBody = std::variant<std::monostate, std::string, FileSlice>;

enum class Redirects : std::uint8_t {
  kNever,         // the 3xx is the answer
  kRelativeOnly,  // followed while Location names no host (a renamed repository); an absolute one is the answer
  kFollow,        // followed, at most 10, never from https to http
};

struct Request {
  std::string method = "GET";
  std::string url;
  Headers headers;
  Secret authorization;  // the whole value ("Bearer ..."); dropped when a redirect changes scheme, host or port
  RequestBody body;      // sent with its exact Content-Length
  Redirects redirects = Redirects::kNever;

  // On a connection of its own. libcurl sends a request again when a connection that it had kept turns out to be dead, though
  // the server may have acted on it: for requests that must not happen twice.
  bool never_twice = false;

  double connect_seconds = 10;                             // to reach the server
  double stall_seconds = 60;                               // without a single byte in either direction; whole seconds
  double total_seconds = 0;                                // for the whole exchange; 0: no limit
  std::uint64_t max_body_bytes = std::uint64_t{64} << 20;  // of a response held in memory

  // Given the bytes of a 2xx body as they come; `body` of the response stays empty then. What it throws, send() throws.
  // on_status comes before the first byte of a 2xx answer (and once when it has none).
  std::function<void(std::string_view)> sink;
  std::function<void(int status, const Headers&)> on_status;
  std::function<void(std::uint64_t bytes)> on_sent;  // bytes of the request's body sent so far
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
  std::string url;  // that answered, after redirects

  bool ok() const { return status >= 200 && status < 300; }
};

}  // namespace attune
