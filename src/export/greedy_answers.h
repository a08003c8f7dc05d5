// The likeliest answers of a model, all of them together: each token reads the weights once for all.
#pragma once

#include <vector>

#include "model/weights.h"
#include "token/encode.h"

namespace attune {

// Each prompt with its answer of at most `most_tokens` tokens, the stop token that ended it included; the answer is
// masked. An adapter that is attached to the model speaks. Honours Ctrl-C (Interrupted).
std::vector<EncodedConversation> greedy_answers(const Model& model, const std::vector<std::vector<TokenId>>& prompts,
                                                const std::vector<TokenId>& stops, std::int64_t most_tokens);

}  // namespace attune
