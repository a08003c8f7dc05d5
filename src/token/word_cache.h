// The ids of recently met words: most words of a text were met before. Direct-mapped, one cache per thread, shared by all
// tokenizers of the process, which differ by `owner`.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "token/tokenizer.h"

namespace attune {

// A word of up to 24 bytes, padded with zeros: three loads to make, three comparisons to find.
struct ShortWord {
  static constexpr std::size_t kMostBytes = 24;
  explicit ShortWord(std::string_view word);  // 1 to kMostBytes bytes
  std::array<std::uint64_t, 3> bytes{};
  std::uint32_t size = 0;

  std::uint64_t hash() const;
};

// One slot fills one cache line.
struct alignas(64) CachedWord {
  static constexpr std::size_t kMostIds = 8;
  std::array<std::uint64_t, 3> bytes{};
  std::uint32_t owner = 0;  // 0: free
  std::uint8_t size = 0, count = 0;
  std::array<TokenId, kMostIds> ids{};

  bool holds(const ShortWord& word, std::uint32_t by) const {
    return owner == by && size == word.size && bytes == word.bytes;
  }
  void set(const ShortWord& word, std::uint32_t by, std::span<const TokenId> of);  // at most kMostIds
};

// Differs from what every other tokenizer of the process got.
std::uint32_t new_word_owner();

// Where `word` belongs in this thread's cache.
CachedWord& cached_word(const ShortWord& word);

}  // namespace attune
