// Who writes and judges the conversations: another program behind an endpoint (endpoint.h), or attune's own engine
// (local_model.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "conversation/conversation.h"

namespace attune {

struct ModelCall {
  std::vector<Message> messages;
  std::optional<double> temperature;  // absent: what the model's own default is
  std::int64_t max_tokens = 1024;     // of the reply
  std::uint64_t seed = 0;             // for engines that take one
};

struct ModelReply {
  std::string text;
  bool cut = false;  // at max_tokens
  std::int64_t prompt_tokens = 0, reply_tokens = 0;
  bool estimated = false;  // the counts are: the model named none
};

// This call did not succeed, another may: the endpoint was away, overloaded or refused this very text.
class CallFailed : public UserError {
 public:
  using UserError::UserError;
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  // Thread-safe. Throws CallFailed; Interrupted; any other UserError when no further call can succeed.
  virtual ModelReply reply(const ModelCall& call) = 0;
  virtual std::string name() const = 0;
};

// How many tokens a text takes at most, with what stands around its messages: one for each byte.
std::int64_t most_tokens(const std::vector<Message>& messages);

// About how many it takes: a quarter of that.
std::int64_t estimated_tokens(const std::vector<Message>& messages);

}  // namespace attune
