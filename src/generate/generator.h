// Text from a model: a session holds the KV cache of one conversation and continues it token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "generate/sampler.h"
#include "model/pass.h"
#include "token/tokenizer.h"

namespace attune {

// One token sequence and the model's state after it. The model must outlive the session. One thread at a time.
class Session {
 public:
  // capacity: tokens at most, prompt and answer together.
  Session(const Model& model, std::int64_t capacity, DType act);

  // Makes the session hold exactly `tokens`: keeps the cache of the longest common prefix and runs the rest. Returns
  // the logits [V] after the last token, valid until the next call. Throws UserError when they do not fit.
  std::span<const float> set_tokens(std::span<const TokenId> tokens);
  std::span<const float> append(TokenId token);

  std::int64_t length() const { return cache_.length; }
  std::int64_t capacity() const { return cache_.capacity; }
  std::size_t arena_bytes() const { return arena_.bytes(); }

 private:
  void run(std::span<const TokenId> tokens);  // appends a piece of at most kPrefillTokens

  const Model& model_;
  Arena arena_;
  Activations activations_;
  KvCache cache_;
  TensorView logits_, ids_, positions_;
  std::vector<TokenId> tokens_;  // what the cache holds
};

struct GenerateOptions {
  SamplerOptions sampler;
  std::int64_t max_new_tokens = 512;
  std::vector<TokenId> stop_tokens;
};

enum class FinishReason { kStop, kLength, kInterrupted };

struct Generated {
  std::vector<TokenId> tokens;  // the stop token not included
  FinishReason reason = FinishReason::kLength;
  std::int64_t prompt_tokens = 0;
  double prompt_seconds = 0, answer_seconds = 0;
};

// Continues `prompt`. on_token is called for each token as it is chosen; returning false stops.
Generated generate(Session& session, std::span<const TokenId> prompt, const GenerateOptions& options,
                   const std::function<bool(TokenId)>& on_token = {});

}  // namespace attune
