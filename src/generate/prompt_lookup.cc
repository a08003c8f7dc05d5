#include "generate/prompt_lookup.h"

#include <algorithm>

namespace attune {

std::span<const TokenId> looked_up(std::span<const TokenId> tokens, std::int64_t most) {
  const std::int64_t count = std::ssize(tokens);
  for (const std::int64_t length : {std::int64_t{3}, std::int64_t{2}}) {
    if (count <= length) continue;
    const auto pattern = tokens.last(static_cast<std::size_t>(length));
    for (std::int64_t begin = count - length - 1; begin >= 0; --begin) {
      const auto here = tokens.subspan(static_cast<std::size_t>(begin), pattern.size());
      if (!std::equal(pattern.begin(), pattern.end(), here.begin())) continue;
      const std::int64_t follows = begin + length;
      return tokens.subspan(static_cast<std::size_t>(follows),
                            static_cast<std::size_t>(std::min(most, count - follows)));
    }
  }
  return {};
}

void LookupPace::passed_without_guess() { pause_ = std::max<std::int64_t>(0, pause_ - 1); }

void LookupPace::report(std::int64_t guessed, std::int64_t accepted) {
  if (accepted == guessed) {
    length_ = std::min(kLookupTokens, 2 * length_);
    next_pause_ = 1;
  } else if (accepted == 0) {
    length_ = 2;
    pause_ = next_pause_;
    next_pause_ = std::min<std::int64_t>(32, 2 * next_pause_);
  } else {
    length_ = std::max<std::int64_t>(2, accepted + 1);
    next_pause_ = 1;
  }
}

}  // namespace attune
