#include "synth/endpoint.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "http/retry.h"
#include "http/url.h"
#include "synth/completion.h"

namespace attune {
namespace {

constexpr int kFirstRetries = 3;  // before any call succeeded: a wrong address is not worth a minute
constexpr int kUnreadable = 2;    // replies that make no sense, or are cut, before a call counts as failed

std::string completions_url(std::string url) {
  const auto origin = origin_of(url);
  if (!origin || url.find_first_of("?#@") != url.npos) {
    throw UserError(
        "[--endpoint] expected a URL such as http://localhost:8080/v1, without user, query or fragment, got {}",
        origin ? shown_url(url) : "something else");
  }
  while (url.ends_with('/')) url.pop_back();
  return url.ends_with("/chat/completions") ? url : url + "/chat/completions";
}

}  // namespace

Endpoint::Endpoint(EndpointOptions options) : options_(std::move(options)), url_(completions_url(options_.url)) {}

std::unique_ptr<HttpClient> Endpoint::take_client() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) {
    HttpOptions options;
    options.cancelled = options_.cancelled;
    return std::make_unique<HttpClient>(std::move(options));
  }
  auto client = std::move(idle_.back());
  idle_.pop_back();
  return client;
}

void Endpoint::give_back(std::unique_ptr<HttpClient> client) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(client));
}

void Endpoint::wait_for_turn(const HttpClient& client) {
  while (true) {
    double left = 0;
    {
      const std::lock_guard lock(mutex_);
      left = std::chrono::duration<double>(not_before_ - Clock::now()).count();
    }
    if (left <= 0) return;
    wait_unless_cancelled(client, left);
  }
}

Response Endpoint::post(HttpClient& client, const ModelCall& call) {
  Json messages = Json::array();
  for (const Message& message : call.messages) {
    messages.push_back(Json{{"role", message.role}, {"content", message.content}});
  }
  Json body{{"model", options_.model}, {"messages", std::move(messages)}, {"stream", false}};
  if (call.temperature) body["temperature"] = *call.temperature;
  RetryPolicy policy;
  {
    const std::lock_guard lock(mutex_);
    body[length_key_] = call.max_tokens;
    policy.retries = succeeded_ ? options_.retries : std::min(options_.retries, kFirstRetries);
  }
  Request request;
  request.method = "POST";
  request.url = url_;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  if (!options_.key.empty()) request.authorization = Secret("Bearer " + options_.key.reveal());
  request.body = to_json_line(body);
  request.stall_seconds = options_.timeout_seconds;  // nothing comes while a model thinks
  request.total_seconds = options_.timeout_seconds;
  policy.longest_wait = 30;
  policy.longest_asked = 600;
  policy.on_wait = [&](const std::string& why, double seconds) {
    {
      const std::lock_guard lock(mutex_);
      const auto until =
          Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
      not_before_ = std::max(not_before_, until);
    }
    if (options_.on_wait) options_.on_wait(without_secret(why, options_.key.reveal()), seconds);
  };
  return send_with_retry(client, request, policy);
}

ModelReply Endpoint::send(HttpClient& client, const ModelCall& call) {
  for (int unreadable = 0;;) {
    wait_for_turn(client);
    Response response;
    try {
      response = post(client, call);
    } catch (const TransportError& error) {
      if (!error.may_pass()) throw;
      throw CallFailed("{}", error.what());
    }
    const std::string body = without_secret(std::move(response.body), options_.key.reveal());
    const std::string where = "POST " + shown_url(url_);
    if (response.ok()) {
      try {
        ModelReply reply = parse_completion(body, call, where);
        const std::lock_guard lock(mutex_);
        succeeded_ = true;
        return reply;
      } catch (const BadFile& error) {
        if (++unreadable > kUnreadable) throw CallFailed("{}", error.what());
        continue;
      }
    }
    const std::string said = completion_error(body);
    const std::string message =
        fmt::format("[{}] the endpoint answered {}{}{}", where, response.status, said.empty() ? "" : ": ", said);
    const std::lock_guard lock(mutex_);
    if (response.status == 400 && length_key_ == "max_tokens" && said.find("max_completion_tokens") != said.npos) {
      length_key_ = "max_completion_tokens";
      continue;
    }
    if (response.status == 401 || response.status == 403) {
      throw UserError("{}; {} {}", message, options_.key.empty() ? "set" : "check", options_.key_source);
    }
    if (response.status == 402 || response.status == 404 || response.status == 405 || response.status / 100 == 3) {
      throw UserError("{}; check --endpoint and --model", message);
    }
    throw CallFailed("{}", message);
  }
}

ModelReply Endpoint::reply(const ModelCall& call) {
  auto client = take_client();
  ModelReply reply = send(*client, call);
  give_back(std::move(client));
  return reply;
}

}  // namespace attune
