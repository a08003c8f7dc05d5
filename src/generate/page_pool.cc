#include "generate/page_pool.h"

#include <algorithm>

#include "base/error.h"

namespace attune {
namespace {

// FNV-1a over 32-bit words; a collision costs a comparison, never a wrong page.
std::uint64_t hash_of(PrefixName parent, std::span<const TokenId> tokens) {
  std::uint64_t hash = 0xCBF29CE484222325u ^ static_cast<std::uint64_t>(parent);
  for (const TokenId token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001B3u;
  return hash ^ hash >> 29;
}

}  // namespace

PagePool::PagePool(std::int64_t pages) : entries_(static_cast<std::size_t>(pages)) {
  for (std::int64_t page = pages; page-- > 0;) free_.push_back(static_cast<PageId>(page));
}

PageId PagePool::take() {
  if (free_.empty()) {
    if (idle_.empty()) throw InternalError("[pages] all {} are in use", pages());
    const PageId page = idle_.front();
    idle_.pop_front();
    forget(entries_[static_cast<std::size_t>(page)], page);
    free_.push_back(page);
  }
  const PageId page = free_.back();
  free_.pop_back();
  entries_[static_cast<std::size_t>(page)].users = 1;
  return page;
}

void PagePool::share(PageId page) {
  Entry& entry = entries_[static_cast<std::size_t>(page)];
  if (entry.users++ == 0) idle_.erase(entry.idle);
}

void PagePool::release(PageId page) {
  Entry& entry = entries_[static_cast<std::size_t>(page)];
  if (entry.users <= 0) throw InternalError("[pages] page {} is released twice", page);
  if (--entry.users > 0) return;
  if (entry.name == 0) {
    free_.push_back(page);
  } else {
    entry.idle = idle_.insert(idle_.end(), page);
  }
}

std::optional<PagePool::Known> PagePool::find(PrefixName parent, std::span<const TokenId> tokens) const {
  const auto [begin, end] = index_.equal_range(hash_of(parent, tokens));
  for (auto it = begin; it != end; ++it) {
    const Entry& entry = entries_[static_cast<std::size_t>(it->second)];
    if (entry.parent == parent && std::equal(tokens.begin(), tokens.end(), entry.tokens.begin(), entry.tokens.end())) {
      return Known{it->second, entry.name};
    }
  }
  return std::nullopt;
}

PrefixName PagePool::learn(PageId page, PrefixName parent, std::span<const TokenId> tokens) {
  if (const auto known = find(parent, tokens)) return known->name;
  Entry& entry = entries_[static_cast<std::size_t>(page)];
  entry.key = hash_of(parent, tokens);
  entry.parent = parent;
  entry.name = next_name_++;
  entry.tokens.assign(tokens.begin(), tokens.end());
  index_.emplace(entry.key, page);
  return entry.name;
}

void PagePool::forget(Entry& entry, PageId page) {
  const auto [begin, end] = index_.equal_range(entry.key);
  index_.erase(std::find_if(begin, end, [&](const auto& item) { return item.second == page; }));
  entry.name = 0;
}

}  // namespace attune
