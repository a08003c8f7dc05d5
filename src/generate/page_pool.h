// The pages of a KV cache: which are free, who uses them, and which hold the beginning of an earlier prompt that a new
// one may share (Kwon et al., "PagedAttention", 2023). Bookkeeping only; the keys and values lie in the engine's arena.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "token/tokenizer.h"

namespace attune {

using PageId = std::int32_t;

inline constexpr std::int64_t kPageTokens = 64;

// A place in the tree of known prompts: what was said up to the end of some page, under some adapter. Names are never
// given twice, so that equal names mean equal tokens.
using PrefixName = std::int64_t;

class PagePool {
 public:
  explicit PagePool(std::int64_t pages);

  std::int64_t pages() const { return std::ssize(entries_); }
  std::int64_t used() const { return pages() - available(); }
  std::int64_t available() const { return std::ssize(free_) + std::ssize(idle_); }  // free, or known but unused
  std::int64_t known() const { return std::ssize(index_); }                         // pages that may be shared

  // A page for the caller alone; the known page that was used least recently is given up for it when none is free.
  // There must be one available().
  PageId take();
  // Another user of a page that is in use or known.
  void share(PageId page);
  // One user less. Pages of a sequence are to be released last page first, so that what is given up first is what
  // fewest prompts share.
  void release(PageId page);

  // The name of the empty prompt under an adapter (-1: none).
  static PrefixName root(std::int64_t adapter) { return -1 - (adapter + 1); }

  // The page that holds kPageTokens `tokens` after `parent`, if one is known, and the name of the prefix it completes.
  struct Known {
    PageId page;
    PrefixName name;
  };
  std::optional<Known> find(PrefixName parent, std::span<const TokenId> tokens) const;

  // Makes a page that is in use known as holding `tokens` after `parent`. When such a page is known already the new one
  // stays unknown. Returns the name of the prefix.
  PrefixName learn(PageId page, PrefixName parent, std::span<const TokenId> tokens);

 private:
  struct Entry {
    std::int64_t users = 0;
    std::uint64_t key = 0;            // in index_, when known
    PrefixName parent = 0, name = 0;  // name 0: not known
    std::vector<TokenId> tokens;
    std::list<PageId>::iterator idle;  // in idle_, when known and without users
  };
  void forget(Entry& entry, PageId page);

  std::vector<Entry> entries_;
  std::vector<PageId> free_;
  std::list<PageId> idle_;                                // least recently used first
  std::unordered_multimap<std::uint64_t, PageId> index_;  // by hash of parent and tokens
  PrefixName next_name_ = 1;
};

}  // namespace attune
