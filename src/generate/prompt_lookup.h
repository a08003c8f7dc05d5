// Prompt lookup decoding (Saxena, 2023): what followed the last tokens where they stood before is likely to follow them
// again, in answers that quote, correct or extend their prompt. The guess is run in one pass with the token it follows
// and kept as far as the model would have chosen the same.
#pragma once

#include <cstdint>
#include <span>

#include "token/tokenizer.h"

namespace attune {

// What followed the latest earlier occurrence of the last three (else two) of `tokens`: `most` tokens or fewer, maybe
// none. A view into `tokens`.
std::span<const TokenId> looked_up(std::span<const TokenId> tokens, std::int64_t most);

// How much to guess, from what became of earlier guesses: a guess costs rows in every pass, right or wrong.
class LookupPace {
 public:
  std::int64_t allowed() const { return pause_ > 0 ? 0 : length_; }  // tokens to guess in the next pass
  void passed_without_guess();
  void report(std::int64_t guessed, std::int64_t accepted);  // guessed > 0

 private:
  std::int64_t length_ = 3;
  std::int64_t pause_ = 0, next_pause_ = 1;  // passes without a guess after a wrong one, doubling
};

inline constexpr std::int64_t kLookupTokens = 7;  // the longest guess

}  // namespace attune
