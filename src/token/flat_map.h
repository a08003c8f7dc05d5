// A read-mostly hash map from 64-bit keys: open addressing in one array, no deletion. For pairs of ids and of characters
// that are looked up once or more per byte of text.
#pragma once

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
  }

  const Value* find(std::uint64_t key) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[position(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  struct Slot {
    std::uint64_t key = kNoKey;
    Value value{};
  };

  // Of the key, or of the free slot where it belongs.
  std::size_t position(std::uint64_t key) const {
    std::size_t at = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> shift_);
    while (slots_[at].key != key && slots_[at].key != kNoKey) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void rehash(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots_);
    shift_ = 64 - std::countr_zero(size);
    for (const Slot& slot : old) {
      if (slot.key != kNoKey) slots_[position(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
  int shift_ = 63;
};

}  // namespace attune
