// A language model behind an OpenAI-compatible endpoint: OpenAI, a company's own vLLM or llama.cpp, attune serve.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/secret.h"
#include "synth/language_model.h"

namespace attune {

struct EndpointOptions {
  std::string url;                            // ".../v1" or ".../v1/chat/completions"
  std::string model;                          // as the endpoint names it
  Secret key;                                 // sent as a bearer token; empty: none
  std::string key_source = "ATTUNE_API_KEY";  // where it came from, for messages
  double timeout_seconds = 300;               // for a whole reply
  int retries = 6;                            // of a call, after the first attempt
  std::function<bool()> cancelled = interrupt_requested;
  std::function<void(const std::string& why, double seconds)> on_wait;  // from any thread; may be empty
};

// Back-off doubles from a second to half a minute, or lasts as long as the server asks; all callers then wait, as the
// limit is of the account and not of one connection.
class Endpoint : public LanguageModel {
 public:
  explicit Endpoint(EndpointOptions options);  // UserError for what is no URL, or one that holds a secret
  ModelReply reply(const ModelCall& call) override;
  std::string name() const override { return options_.model; }

 private:
  using Clock = std::chrono::steady_clock;
  std::unique_ptr<HttpClient> take_client();
  void give_back(std::unique_ptr<HttpClient> client);
  void wait_for_turn(const HttpClient& client);
  ModelReply send(HttpClient& client, const ModelCall& call);
  Response post(HttpClient& client, const ModelCall& call);

  EndpointOptions options_;
  std::string url_;
  std::mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<HttpClient>> idle_;
  Clock::time_point not_before_{};
  std::string length_key_ = "max_tokens";  // newer models of OpenAI want another name
  bool succeeded_ = false;                 // some call has: the address is right
};

}  // namespace attune
