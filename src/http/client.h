// A small HTTP client over libcurl: one exchange at a time, streamed both ways, nothing sent that was not asked for.
//
// There is no default destination, no cookie store and no netrc; TLS certificates are verified. Proxies are libcurl's
// (HTTPS_PROXY and its relatives).
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "http/message.h"

namespace attune {

// The exchange did not end: no server there, a timeout, a connection cut. `what()` names method and URL without query.
class TransportError : public UserError {
 public:
  enum class Kind : std::uint8_t { kUnreachable, kTimeout, kCut, kRefused };
  TransportError(Kind kind, const std::string& message) : UserError(message), kind_(kind) {}
  Kind kind() const { return kind_; }
  bool may_pass() const { return kind_ != Kind::kRefused; }  // worth another try (a bad certificate is not)

 private:
  Kind kind_;
};

// The name of the first variable that switches all traffic off (set, and not "", "0", "false", "no" or "off").
std::string offline_switch(std::initializer_list<const char*> variables);

struct HttpOptions {
  std::string user_agent = "attune/" ATTUNE_VERSION;
  std::string offline_because;                            // not empty: send() throws and names it ("HF_HUB_OFFLINE")
  std::function<bool()> cancelled = interrupt_requested;  // asked about once a second: true ends what is under way
};

// Keeps connections open between requests. One thread at a time.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The server's answer, whatever its status. Throws TransportError; Interrupted when cancelled; UserError when offline,
  // when the answer is larger than allowed, or when a redirect leads nowhere.
  Response send(const Request& request);

  const HttpOptions& options() const { return options_; }

 private:
  struct State;
  HttpOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace attune
