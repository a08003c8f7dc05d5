// A read-mostly map from texts that is asked mostly for what it does not hold: FlatMap by a hash of the text. Texts of equal
// hash take the keys that follow it.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "token/flat_map.h"

namespace attune {

template <typename Value, typename Hash = std::hash<std::string_view>>
class TextMap {
 public:
  // The first of a text stays.
  void set(std::string_view text, Value value) {
    std::uint64_t key = hash(text);
    while (const std::uint32_t* entry = entries_of_.find(key)) {
      if (entries_[*entry].text == text) return;
      key = after(key);
    }
    entries_of_.set(key, static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({std::string(text), value});
  }

  std::optional<Value> find(std::string_view text) const {
    std::uint64_t key = hash(text);
    while (const std::uint32_t* entry = entries_of_.find(key)) {
      if (entries_[*entry].text == text) return entries_[*entry].value;
      key = after(key);
    }
    return std::nullopt;
  }

 private:
  struct Entry {
    std::string text;
    Value value;
  };
  static constexpr std::uint64_t kLastKey = FlatMap<std::uint32_t>::kNoKey - 1;
  static std::uint64_t hash(std::string_view text) { return std::min<std::uint64_t>(Hash{}(text), kLastKey); }
  static std::uint64_t after(std::uint64_t key) { return key == kLastKey ? 0 : key + 1; }

  std::vector<Entry> entries_;
  FlatMap<std::uint32_t> entries_of_;  // by hash
};

}  // namespace attune
