// The endpoints: OpenAI's chat and completions, models, health, metrics and the chat page.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "serve/api_request.h"
#include "serve/dispatcher.h"
#include "serve/http_exchange.h"
#include "serve/metrics.h"
#include "serve/served_models.h"

namespace attune {

struct ApiOptions {
  std::string key;                        // empty: anyone may ask
  std::string cors_origin;                // empty: pages of other origins may not
  std::string host;                       // where the server listens
  std::chrono::seconds answer_time{600};  // after it an answer is cut
  std::int64_t default_max_tokens = 512;  // of a request that names no limit
  std::int64_t context = 0;               // tokens of prompt and answer together, as the engine has it
};

// Thread-safe. Keeps references to all but the options.
class Api : public HttpHandler {
 public:
  Api(const ServedModels& models, Dispatcher& dispatcher, Metrics& metrics, ApiOptions options);

  std::optional<HttpReply> refuse(const HttpRequest& head) override;
  HttpReply answer(const HttpRequest& request) override;
  HttpReply transport_error(int status, const std::string& message) override;

 private:
  struct Answering;
  void check_head(const HttpRequest& head) const;
  HttpReply route(const HttpRequest& request);
  HttpReply complete(const HttpRequest& request, bool chat);
  SequenceRequest sequence_of(ApiRequest& request, bool chat) const;
  HttpReply whole_answer(const std::shared_ptr<Answering>& answering);
  HttpReply streamed_answer(const std::shared_ptr<Answering>& answering);
  HttpReply finished(HttpReply reply, const HttpRequest& request) const;  // counted, with what every reply carries
  bool is_own_host(const std::string& host) const;

  const ServedModels& models_;
  Dispatcher& dispatcher_;
  Metrics& metrics_;
  const ApiOptions options_;
  const std::int64_t started_;
};

}  // namespace attune
