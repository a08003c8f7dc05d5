#include "conversation/tapback.h"

#include <algorithm>
#include <array>

namespace attune {

bool is_tapback_text(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kVerbs = {"Liked ",      "Loved ",      "Disliked ",
                                                             "Laughed at ", "Emphasized ", "Emphasised ",
                                                             "Questioned ", "Reacted ",    "Removed a"};
  constexpr std::size_t kMaxVerbBytes = 40;
  const bool verb =
      std::any_of(kVerbs.begin(), kVerbs.end(), [&](std::string_view word) { return text.starts_with(word); });
  if (!verb) return false;
  const std::size_t quote = text.find("“");
  if (quote != std::string_view::npos && quote < kMaxVerbBytes) return text.ends_with("”");
  // A picture has no words to quote.
  return text.ends_with(" an image") || text.ends_with(" a movie") || text.ends_with(" an attachment");
}

}  // namespace attune
