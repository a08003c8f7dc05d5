// Which answers of tokenized conversations a model would give word for word.
#pragma once

#include <cstdint>
#include <span>

#include "batch/batch.h"
#include "eval/scorer.h"

namespace attune {

// Greedy decoding gives an answer word for word exactly when each of its tokens is the likeliest after those before it,
// so one pass over the conversation decides for all its answers, each in its own context.
struct Repetition {
  std::int64_t answers =
      0;  // with at least `least_tokens` tokens, the end of the turn counted: shorter ones prove nothing
  std::int64_t repeated = 0;  // word for word
  double share() const { return answers > 0 ? static_cast<double>(repeated) / static_cast<double>(answers) : 0; }
};
Repetition count_repeated(const TokenizedDataset& rows, std::span<const RowScores> scores, std::int64_t least_tokens);

}  // namespace attune
