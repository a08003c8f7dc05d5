// The likeliest answers of a model, all of them together: each token reads the weights once for all.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/weights.h"
#include "token/encode.h"

namespace attune {

// Each prompt with its answer of at most `most_tokens` tokens, the stop token that ended it included; the answer is
// masked. An adapter that is attached to the model speaks. Honours Ctrl-C (Interrupted). `progress` may be empty; called
// with (answer tokens, in all), fewer where answers end early.
std::vector<EncodedConversation> greedy_answers(const Model& model, const std::vector<std::vector<TokenId>>& prompts,
                                                const std::vector<TokenId>& stops, std::int64_t most_tokens,
                                                const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace attune
