#include "conversation/near_duplicates.h"

#include <utf8proc.h>

#include <algorithm>
#include <bit>
#include <functional>
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

// Takes the texts of a conversation and calls visit(hash) for every shingle of what is compared: lower case, one space
// or line end for a run of them. A text shorter than a shingle is one.
template <typename Visit>
class Shingles {
 public:
  explicit Shingles(const Visit& visit) : visit_(visit) {}

  void add(const Message& message) {
    if (message.role == "system") return;
    const std::string_view text = message.content;
    bool space = count_ > 0;
    for (std::size_t i = 0; i < text.size();) {
      const Utf8Step step = decode_utf8(text, i);
      i = step.next;
      const char32_t c = step.code_point;
      if (is_mark(c)) continue;
      if (is_space(c) || c == '\n' || c == '\r') {
        space = count_ > 0;
        continue;
      }
      if (std::exchange(space, false)) add(U' ');
      if (c < 0x80)
        add(c >= 'A' && c <= 'Z' ? c + 32 : c);
      else
        add(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  void finish() {
    if (count_ > 0 && count_ < kShingle) visit_(mix(hash_));
  }

 private:
  static constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15u;
  static constexpr std::uint64_t kFactorOfOldest = kFactor * kFactor * kFactor * kFactor * kFactor;
  static_assert(kShingle == 5);

  // The hash is a polynomial of the last characters: the oldest leaves as the next one comes.
  void add(char32_t c) {
    std::uint64_t& oldest = last_[count_++ % kShingle];
    hash_ = hash_ * kFactor + (c + 1) - oldest * kFactorOfOldest;
    oldest = c + 1;
    if (count_ >= kShingle) visit_(mix(hash_));
  }

  const Visit& visit_;
  std::array<std::uint64_t, kShingle> last_{};
  std::uint64_t hash_ = 0;
  std::size_t count_ = 0;
};

std::size_t text_bytes(const Conversation& conversation) {
  std::size_t bytes = 0;
  for (const Message& message : conversation.messages) bytes += message.role == "system" ? 0 : message.content.size();
  return bytes;
}

// Hashes, each once.
class HashSet {
 public:
  // For at most so many.
  explicit HashSet(std::size_t most) : slots_(std::bit_ceil(2 * most + 2), kFree) {}
  // Whether it was not there.
  bool insert(std::uint64_t hash) {
    std::uint64_t& slot = slots_[find(hash)];
    if (slot != kFree) return false;
    slot = hash;
    ++size_;
    return true;
  }
  bool contains(std::uint64_t hash) const { return slots_[find(hash)] != kFree; }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::uint64_t kFree = 0;  // a hash of 0 is never found: one in 2^64
  std::size_t find(std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at] != kFree && slots_[at] != hash) at = (at + 1) & mask;
    return at;
  }
  std::vector<std::uint64_t> slots_;
  std::size_t size_ = 0;
};

HashSet shingles_of(const Conversation& conversation) {
  HashSet set(text_bytes(conversation) + conversation.messages.size());
  const auto insert = [&](std::uint64_t hash) { set.insert(hash); };
  Shingles shingles(insert);
  for (const Message& message : conversation.messages) shingles.add(message);
  shingles.finish();
  return set;
}

// |A and B| / |A or B|, where A are the shingles of a conversation; or 0 as soon as that cannot reach `least`.
double similarity(const HashSet& a, const Conversation& b, double least) {
  std::size_t left = text_bytes(b) + b.messages.size();  // shingles that may yet come, at most
  HashSet seen(left);
  std::size_t both = 0;
  const auto count = [&](std::uint64_t hash) { both += seen.insert(hash) && a.contains(hash); };
  Shingles shingles(count);
  for (const Message& message : b.messages) {
    const auto either = static_cast<double>(a.size() + seen.size() - both);
    if (static_cast<double>(both + left) < least * either) return 0;
    shingles.add(message);
    left -= message.role == "system" ? 1 : message.content.size() + 1;
  }
  shingles.finish();
  const std::size_t either = a.size() + seen.size() - both;
  return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

// 64 bits of the messages as they are; equal ones are compared again before they count.
std::uint64_t exact_hash(const Conversation& conversation) {
  const std::hash<std::string> hash_of;
  std::uint64_t hash = 0;
  for (const Message& message : conversation.messages) {
    hash = mix(hash + hash_of(message.role));
    hash = mix(hash + hash_of(message.content));
  }
  return hash;
}

}  // namespace

double shingle_similarity(const Conversation& a, const Conversation& b) { return similarity(shingles_of(a), b, 0); }

Fingerprint fingerprint_of(const Conversation& conversation, std::uint64_t seed) {
  constexpr std::uint64_t kEmpty = std::numeric_limits<std::uint64_t>::max();
  std::array<std::uint64_t, kMinima> minima;
  minima.fill(kEmpty);
  bool any = false;
  const auto note = [&](std::uint64_t shingle) {
    const std::uint64_t hash = mix(shingle + seed * 0x9E3779B97F4A7C15u);
    std::uint64_t& minimum = minima[hash >> 59];  // 2^5 == kMinima
    minimum = std::min(minimum, hash);
    any = true;
  };
  Shingles shingles(note);
  for (const Message& message : conversation.messages) shingles.add(message);
  shingles.finish();
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

// Eight places for each band, so that one in eight takes another's.
void NearDuplicates::expect(const SpillVector<Fingerprint>& prints) {
  const std::size_t size = std::bit_ceil(kBands * prints.size() * 8);
  std::vector<bool> once(size);
  repeated_.assign(size, false);
  for (std::size_t i = 0; i < prints.size(); ++i) {
    for (const std::uint32_t band : prints[i].bands) {
      const std::size_t place = mix(band) & (size - 1);
      if (once[place]) repeated_[place] = true;
      once[place] = true;
    }
  }
}

NearDuplicates::Found NearDuplicates::find(const Fingerprint& print, const Conversation& conversation,
                                           std::uint32_t group) const {
  return compare(candidates_of(print, group), print, conversation);
}

NearDuplicates::Found NearDuplicates::find(const Fingerprint& print, std::uint32_t number, std::uint32_t group) const {
  const std::vector<std::uint32_t> candidates = candidates_of(print, group);
  return candidates.empty() ? Found::kNothing : compare(candidates, print, store_[number]);
}

// The entries of another group that share a band, in the order in which they were added.
std::vector<std::uint32_t> NearDuplicates::candidates_of(const Fingerprint& print, std::uint32_t group) const {
  std::vector<std::uint32_t> candidates;
  if (slots_.empty()) return candidates;
  const std::size_t mask = slots_.size() - 1;
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
  return candidates;
}

NearDuplicates::Found NearDuplicates::compare(const std::vector<std::uint32_t>& candidates, const Fingerprint& print,
                                              const Conversation& conversation) const {
  for (const std::uint32_t candidate : candidates) {
    const Entry& entry = entries_[candidate];
    if (entry.exact == print.exact && store_[entry.conversation] == conversation) return Found::kSame;
  }
  if (candidates.empty()) return Found::kNothing;
  const HashSet shingles = shingles_of(conversation);
  for (const std::uint32_t candidate : candidates) {
    if (similarity(shingles, store_[entries_[candidate].conversation], threshold_) >= threshold_) return Found::kNear;
  }
  return Found::kNothing;
}

void NearDuplicates::add(const Fingerprint& print, std::uint32_t number, std::uint32_t group) {
  const auto entry = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back({print.exact, number, group});
  for (const std::uint32_t key : print.bands) {
    if (repeated_.empty() || repeated_[mix(key) & (repeated_.size() - 1)]) put(key, entry);
  }
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
