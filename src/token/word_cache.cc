#include "token/word_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

namespace attune {
namespace {

// 4 MB: the words of a chat, or nine tenths of a novel's, at one line each.
constexpr std::size_t kSlots = std::size_t{1} << 16;

template <typename Word>
std::uint64_t load(const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// The first `count` bytes (1 to 8), the others zero. Reads nothing beyond them.
std::uint64_t load_some(const char* from, std::size_t count) {
  if (count == 8) return load<std::uint64_t>(from);
  if (count >= 4) return load<std::uint32_t>(from) | load<std::uint32_t>(from + count - 4) << (8 * (count - 4));
  return load<std::uint8_t>(from) | load<std::uint8_t>(from + count / 2) << (8 * (count / 2)) |
         load<std::uint8_t>(from + count - 1) << (8 * (count - 1));
}

// Zeros of the system, which takes memory for a page only when something is put there: a server's threads, which see a few
// prompts each, must not pay for whole caches. malloc would hand out used memory again, and clear it.
class Cache {
 public:
  Cache() {
    void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    words_ = static_cast<CachedWord*>(memory);
  }
  ~Cache() { munmap(words_, kBytes); }
  CachedWord& at(std::uint64_t hash) { return words_[hash & (kSlots - 1)]; }

 private:
  static constexpr std::size_t kBytes = kSlots * sizeof(CachedWord);
  CachedWord* words_;
};

}  // namespace

std::uint32_t new_word_owner() {
  static std::atomic<std::uint32_t> last = 0;
  return ++last;
}

ShortWord::ShortWord(std::string_view word) : size(static_cast<std::uint32_t>(word.size())) {
  std::size_t at = 0;
  for (std::uint64_t& eight : bytes) {
    if (at >= word.size()) break;
    eight = load_some(word.data() + at, std::min<std::size_t>(8, word.size() - at));
    at += 8;
  }
}

std::uint64_t ShortWord::hash() const {
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15u;
  std::uint64_t hash = (bytes[0] ^ size) * kFactor;
  hash = (hash ^ hash >> 32 ^ bytes[1]) * kFactor;
  hash = (hash ^ hash >> 32 ^ bytes[2]) * kFactor;
  return hash ^ hash >> 32;
}

void CachedWord::set(const ShortWord& word, std::uint32_t by, std::span<const TokenId> of) {
  bytes = word.bytes;
  owner = by;
  size = static_cast<std::uint8_t>(word.size);
  count = static_cast<std::uint8_t>(of.size());
  std::copy(of.begin(), of.end(), ids.begin());
}

CachedWord& cached_word(const ShortWord& word) {
  thread_local Cache cache;
  return cache.at(word.hash());
}

}  // namespace attune
