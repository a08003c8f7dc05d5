#include "conversation/near_duplicates.h"

#include <utf8proc.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/utf8.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr std::size_t kShingle = 5;  // characters
constexpr std::size_t kMinima = 32, kBands = 8, kRows = kMinima / kBands;
constexpr std::size_t kMostCandidates = 64;  // compared in full, of one band

// The finalizer of splitmix64: every bit of the result depends on every bit of x.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The text that is compared: lower case, one space or line end for a run of them.
std::u32string folded_text(const Conversation& conversation) {
  std::u32string text;
  for (const Message& message : conversation.messages) {
    if (message.role == "system") continue;
    bool space = !text.empty();
    for (std::size_t i = 0; i < message.content.size();) {
      const Utf8Step step = decode_utf8(message.content, i);
      i = step.next;
      const char32_t c = step.code_point;
      if (is_mark(c)) continue;
      if (is_space(c) || c == '\n' || c == '\r') {
        space = !text.empty();
        continue;
      }
      if (std::exchange(space, false)) text += U' ';
      if (c < 0x80) {
        text += c >= 'A' && c <= 'Z' ? c + 32 : c;
      } else {
        text += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
      }
    }
  }
  return text;
}

// Calls visit(hash) for every shingle; a text shorter than one is one shingle.
template <typename Visit>
void for_each_shingle(const std::u32string& text, const Visit& visit) {
  if (text.empty()) return;
  const std::size_t size = std::min(kShingle, text.size());
  for (std::size_t i = 0; i + size <= text.size(); ++i) {
    std::uint64_t hash = 0;
    for (std::size_t k = 0; k < size; ++k) hash = hash * 0x9E3779B97F4A7C15u + text[i + k] + 1;
    visit(mix(hash));
  }
}

std::vector<std::uint64_t> shingles_of(const Conversation& conversation) {
  std::vector<std::uint64_t> all;
  for_each_shingle(folded_text(conversation), [&](std::uint64_t hash) { all.push_back(hash); });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

// 64 bits of the messages as they are; equal ones are compared again before they count.
std::uint64_t exact_hash(const Conversation& conversation) {
  std::uint64_t hash = 0;
  for (const Message& message : conversation.messages) {
    for (const char c : message.role) hash = hash * 0x100000001B3u + static_cast<unsigned char>(c) + 1;
    hash = mix(hash);
    for (const char c : message.content) hash = hash * 0x100000001B3u + static_cast<unsigned char>(c) + 1;
    hash = mix(hash);
  }
  return hash;
}

}  // namespace

double shingle_similarity(const Conversation& a, const Conversation& b) {
  const std::vector<std::uint64_t> left = shingles_of(a), right = shingles_of(b);
  if (left.empty() && right.empty()) return 1;
  std::size_t both = 0;
  for (std::size_t i = 0, j = 0; i < left.size() && j < right.size();) {
    if (left[i] == right[j]) ++both;
    const bool next_left = left[i] <= right[j], next_right = right[j] <= left[i];
    i += next_left;
    j += next_right;
  }
  return static_cast<double>(both) / static_cast<double>(left.size() + right.size() - both);
}

NearDuplicates::Fingerprint NearDuplicates::fingerprint(const Conversation& conversation) const {
  constexpr std::uint64_t kEmpty = std::numeric_limits<std::uint64_t>::max();
  std::array<std::uint64_t, kMinima> minima;
  minima.fill(kEmpty);
  bool any = false;
  for_each_shingle(folded_text(conversation), [&](std::uint64_t shingle) {
    const std::uint64_t hash = mix(shingle + options_.seed * 0x9E3779B97F4A7C15u);
    std::uint64_t& minimum = minima[hash >> 59];  // 2^5 == kMinima
    minimum = std::min(minimum, hash);
    any = true;
  });
  // An empty bin borrows from one that a hash of (bin, attempt) names: the same one in every conversation.
  std::array<std::uint64_t, kMinima> dense = minima;
  for (std::size_t bin = 0; any && bin < kMinima; ++bin) {
    for (std::uint64_t attempt = 1; dense[bin] == kEmpty; ++attempt) {
      dense[bin] = minima[mix(bin << 32 | attempt) % kMinima];
    }
  }
  Fingerprint print;
  print.exact = exact_hash(conversation);
  for (std::size_t band = 0; band < kBands; ++band) {
    std::uint64_t hash = band;
    for (std::size_t row = 0; row < kRows; ++row) hash = mix(hash ^ dense[band * kRows + row]);
    print.bands[band] = static_cast<std::uint32_t>(hash >> 32);
  }
  return print;
}

NearDuplicates::Found NearDuplicates::find(const Fingerprint& print, const Conversation& conversation,
                                           std::uint32_t group) const {
  if (slots_.empty()) return Found::kNothing;
  const std::size_t mask = slots_.size() - 1;
  std::vector<std::uint32_t> candidates;
  for (const std::uint32_t key : print.bands) {
    std::size_t met = 0;
    for (std::size_t at = key & mask; slots_[at].entry != kFree && met < kMostCandidates; at = (at + 1) & mask) {
      if (slots_[at].key != key) continue;
      ++met;
      if (entries_[slots_[at].entry].group != group) candidates.push_back(slots_[at].entry);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const std::uint32_t candidate : candidates) {
    const Entry& entry = entries_[candidate];
    if (entry.exact == print.exact && store_[entry.conversation] == conversation) return Found::kSame;
  }
  for (const std::uint32_t candidate : candidates) {
    if (shingle_similarity(store_[entries_[candidate].conversation], conversation) >= options_.threshold)
      return Found::kNear;
  }
  return Found::kNothing;
}

void NearDuplicates::add(const Fingerprint& print, std::uint32_t number, std::uint32_t group) {
  const auto entry = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back({print.exact, number, group});
  for (const std::uint32_t key : print.bands) put(key, entry);
}

void NearDuplicates::put(std::uint32_t key, std::uint32_t entry) {
  if ((used_ + 1) * 2 > slots_.size()) grow();
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = key & mask, met = 0;
  for (; slots_[at].entry != kFree; at = (at + 1) & mask) {
    met += slots_[at].key == key;
    if (met == kMostCandidates) return;  // find() would not come so far
  }
  slots_[at] = {key, entry};
  ++used_;
}

void NearDuplicates::grow() {
  std::vector<Slot> old(std::max<std::size_t>(64, slots_.size() * 2));
  old.swap(slots_);
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.entry != kFree) put(slot.key, slot.entry);
  }
}

}  // namespace attune
