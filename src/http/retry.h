// Sending again what failed for a reason that passes, and waiting as long as the server asks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "http/client.h"

namespace attune {

struct RetryPolicy {
  std::vector<int> statuses = {408, 429, 500, 502, 503, 504};
  bool transport_errors = true;  // those that may pass
  int retries = 5;               // after the first attempt
  double first_wait = 1;         // seconds; doubles with every retry
  double longest_wait = 8;       // seconds, of our own waits
  double longest_asked = 310;  // seconds; a server that asks for more gets no further attempt (the Hub's window is 300)
  std::function<void(const std::string& why, double seconds)> on_wait;  // may be empty
};

// Only for requests that may be repeated. The last response when the retries are used up, or the last TransportError.
// The body starts over with each attempt. A response whose sink already got bytes is not asked for again: the caller
// knows where to go on.
Response send_with_retry(HttpClient& client, const Request& request, const RetryPolicy& policy = {});

// Sleeps in short naps; throws Interrupted as soon as the client's owner cancels.
void wait_unless_cancelled(const HttpClient& client, double seconds);

}  // namespace attune
