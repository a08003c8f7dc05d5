// The body of a request to /v1/chat/completions or /v1/completions (INTEROP section 8), checked: what it asks for is
// either honoured or refused, naming the parameter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conversation/conversation.h"
#include "generate/sampler.h"
#include "token/tokenizer.h"

namespace attune {

struct ApiRequest {
  std::string model;
  std::vector<Message> messages;       // chat
  std::string prompt;                  // completions: a text, or
  std::vector<TokenId> prompt_tokens;  // its tokens
  bool stream = false, include_usage = false;
  std::optional<std::int64_t> max_tokens;
  SamplerOptions sampler{.temperature = 1.0};  // OpenAI's default
  bool has_seed = false;
  Penalties penalties;
  std::vector<std::string> stop;
  std::optional<int> top_logprobs;  // absent: no log probabilities
};

// ApiError 400 for what is malformed, out of range or not supported. `body` may be any bytes.
ApiRequest parse_chat_request(std::string_view body);
ApiRequest parse_completion_request(std::string_view body);

}  // namespace attune
