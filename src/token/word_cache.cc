#include "token/word_cache.h"

#include <sys/mman.h>

#include <atomic>
#include <new>

namespace attune {

// Zeros of the system, which takes memory for a page only when something is put there: a server's threads, which see a few
// prompts each, must not pay for whole caches. malloc would hand out used memory again, and clear it.
WordCache::WordCache() {
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  words_ = static_cast<CachedWord*>(memory);
}

WordCache::~WordCache() { munmap(words_, kBytes); }

WordCache& WordCache::of_this_thread() {
  thread_local WordCache cache;
  return cache;
}

void CachedWord::set(const ShortWord& word, std::uint32_t by, std::span<const TokenId> of) {
  bytes = word.bytes;
  owner = by;
  size = static_cast<std::uint8_t>(word.size);
  count = static_cast<std::uint8_t>(of.size());
  std::copy(of.begin(), of.end(), ids.begin());
}

std::uint32_t new_word_owner() {
  static std::atomic<std::uint32_t> last = 0;
  return ++last;
}

}  // namespace attune
