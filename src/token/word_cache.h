// The ids of recently met words: most words of a text were met before. Direct-mapped, one cache per thread, shared by all
// tokenizers of the process, which differ by `owner`. Inline, since a word is looked up every few nanoseconds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "token/tokenizer.h"

namespace attune {

// A word of up to 24 bytes, padded with zeros: three loads to make, three comparisons to find.
struct ShortWord {
  static constexpr std::size_t kMostBytes = 24;
  static bool fits(std::string_view word) { return !word.empty() && word.size() <= kMostBytes; }

  void set(std::string_view word);  // one that fits
  std::uint64_t hash() const;

  std::array<std::uint64_t, 3> bytes;
  std::uint32_t size;

 private:
  template <typename Word>
  static std::uint64_t load(const char* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  }
  static std::uint64_t load_some(const char* from, std::size_t count);
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

class WordCache {
 public:
  static WordCache& of_this_thread();
  ~WordCache();
  WordCache(const WordCache&) = delete;
  WordCache& operator=(const WordCache&) = delete;

  CachedWord& slot(const ShortWord& word) { return words_[word.hash() & (kSlots - 1)]; }  // where it belongs

 private:
  WordCache();
  static constexpr std::size_t kSlots = std::size_t{1} << 16;  // 4 MB: the words of a chat, or nine tenths of a novel's
  static constexpr std::size_t kBytes = kSlots * sizeof(CachedWord);
  CachedWord* words_;
};

// Differs from what every other tokenizer of the process got.
std::uint32_t new_word_owner();

// The first `count` bytes (1 to 8), the others zero. Reads nothing beyond them.
inline std::uint64_t ShortWord::load_some(const char* from, std::size_t count) {
  if (count == 8) return load<std::uint64_t>(from);
  if (count >= 4) return load<std::uint32_t>(from) | load<std::uint32_t>(from + count - 4) << (8 * (count - 4));
  return load<std::uint8_t>(from) | load<std::uint8_t>(from + count / 2) << (8 * (count / 2)) |
         load<std::uint8_t>(from + count - 1) << (8 * (count - 1));
}

inline void ShortWord::set(std::string_view word) {
  size = static_cast<std::uint32_t>(word.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t at = 8 * i;
    bytes[i] = at < word.size() ? load_some(word.data() + at, std::min<std::size_t>(8, word.size() - at)) : 0;
  }
}

inline std::uint64_t ShortWord::hash() const {
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15u;
  std::uint64_t hash = (bytes[0] ^ size) * kFactor;
  hash = (hash ^ hash >> 32 ^ bytes[1]) * kFactor;
  hash = (hash ^ hash >> 32 ^ bytes[2]) * kFactor;
  return hash ^ hash >> 32;
}

}  // namespace attune
