// A read-mostly hash map from 64-bit keys: open addressing in one array, no deletion, and a few bits per slot that tell of
// most absent keys that they are absent (Bloom, CACM 13(7), 1970, with one hash). For pairs of ids and of characters that
// are looked up once or more per byte of text: the slots of a large vocabulary fit in no near cache, the bits do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace attune {

template <typename Value>
class FlatMap {
 public:
  static constexpr std::uint64_t kNoKey = ~std::uint64_t{0};  // not usable as a key

  void reserve(std::size_t count) {
    if (count * 2 > slots_.size()) rehash(std::bit_ceil(count * 2 + 2));
  }

  // Inserts or replaces.
  void set(std::uint64_t key, Value value) {
    reserve(count_ + 1);
    Slot& slot = slots_[position(key)];
    if (slot.key == kNoKey) ++count_;
    slot = {key, value};
    mark(key);
  }

  const Value* find(std::uint64_t key) const {
    if (slots_.empty() || !may_hold(key)) return nullptr;
    const Slot& slot = slots_[position(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  struct Slot {
    std::uint64_t key = kNoKey;
    Value value{};
  };

  static constexpr int kBitsOfSlot = 2;  // as a power of two

  static std::uint64_t hash(std::uint64_t key) { return key * 0x9E3779B97F4A7C15u; }

  void mark(std::uint64_t key) {
    const std::uint64_t bit = hash(key) >> (shift_ - kBitsOfSlot);
    bits_[bit / 64] |= std::uint64_t{1} << bit % 64;
  }
  bool may_hold(std::uint64_t key) const {
    const std::uint64_t bit = hash(key) >> (shift_ - kBitsOfSlot);
    return bits_[bit / 64] >> bit % 64 & 1;
  }

  // Of the key, or of the free slot where it belongs.
  std::size_t position(std::uint64_t key) const {
    std::size_t at = static_cast<std::size_t>(hash(key) >> shift_);
    while (slots_[at].key != key && slots_[at].key != kNoKey) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void rehash(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots_);
    shift_ = 64 - std::countr_zero(size);
    bits_.assign(std::max<std::size_t>(1, (size << kBitsOfSlot) / 64), 0);
    for (const Slot& slot : old) {
      if (slot.key == kNoKey) continue;
      slots_[position(slot.key)] = slot;
      mark(slot.key);
    }
  }

  std::vector<Slot> slots_;
  std::vector<std::uint64_t> bits_;  // 4 per slot; see mark()
  std::size_t count_ = 0;
  int shift_ = 63;
};

}  // namespace attune
