#include "http/retry.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "http/header_fields.h"

namespace attune {
namespace {

double unix_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

void wait_unless_cancelled(const HttpClient& client, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (true) {
    if (client.options().cancelled && client.options().cancelled()) {
      throw Interrupted("[http] stopped while waiting for the server");
    }
    const auto left = end - Clock::now();
    if (left <= Clock::duration::zero()) return;
    std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(50)));
  }
}

Response send_with_retry(HttpClient& client, const Request& request, const RetryPolicy& policy) {
  bool streamed = false;
  Request attempt = request;
  if (request.sink) {
    attempt.sink = [&](std::string_view bytes) {
      streamed = true;
      request.sink(bytes);
    };
  }
  double wait = policy.first_wait;
  for (int left = policy.retries;; --left) {
    std::string why;
    double seconds = std::min(wait, policy.longest_wait);
    try {
      Response response = client.send(attempt);
      const bool again =
          std::find(policy.statuses.begin(), policy.statuses.end(), response.status) != policy.statuses.end();
      if (!again || left <= 0) return response;
      if (const auto asked = asked_wait(response.headers, unix_now())) {
        if (*asked > policy.longest_asked) return response;
        seconds = *asked;
      }
      why = fmt::format("the server answered {}", response.status);
    } catch (const TransportError& error) {
      if (!policy.transport_errors || !error.may_pass() || streamed || left <= 0) throw;
      why = error.what();
    }
    if (policy.on_wait) policy.on_wait(why, seconds);
    wait_unless_cancelled(client, seconds);
    wait *= 2;
  }
}

}  // namespace attune
