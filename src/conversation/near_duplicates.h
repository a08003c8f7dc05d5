// Conversations that repeat another one, exactly or nearly.
//
// Near: the Jaccard similarity of their sets of shingles (5 characters, letter case and runs of white space ignored) is
// at least `threshold`. Candidates come from locality-sensitive hashing (Broder, "On the resemblance and containment of
// documents", 1997): 32 minima by one permutation with optimal densification (Shrivastava, ICML 2017), in 8 bands of 4,
// which finds 98 of 100 pairs of similarity 0.8 and all but 2 in 10,000 of 0.9. Each candidate is then compared in
// full, so nothing is called a duplicate by chance. Everything is a function of the conversations, their order and the
// seed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/spill.h"
#include "conversation/conversation_store.h"

namespace attune {

// What a conversation is recognised by. System messages do not count: they are the same in all.
struct Fingerprint {
  std::uint64_t exact = 0;
  std::array<std::uint32_t, 8> bands{};
};
Fingerprint fingerprint_of(const Conversation& conversation, std::uint64_t seed = 1);

class NearDuplicates {
 public:
  // What is added lies in `store`, which must outlive this object. Near is from `threshold` in (0, 1] on. All
  // fingerprints must be of one seed.
  explicit NearDuplicates(const ConversationStore& store, double threshold = 0.8)
      : store_(store), threshold_(threshold) {}

  // Tells beforehand all that will be added or looked for: a band that only one of them has needs no place in memory.
  void expect(const SpillVector<Fingerprint>& prints);

  enum class Found { kNothing, kSame, kNear };
  // Compares with what was added under another `group`: windows of one session may overlap.
  Found find(const Fingerprint& print, const Conversation& conversation, std::uint32_t group) const;
  // The same for conversation `number` of the store, which is read only when some other may be like it.
  Found find(const Fingerprint& print, std::uint32_t number, std::uint32_t group) const;
  // `number` is that of a conversation in the store.
  void add(const Fingerprint& print, std::uint32_t number, std::uint32_t group);

 private:
  struct Entry {
    std::uint64_t exact;
    std::uint32_t conversation, group;
  };
  // Open addressing, several entries under one key. 8 bytes for each band of a conversation and as many free.
  struct Slot {
    std::uint32_t key = 0, entry = kFree;
  };
  static constexpr std::uint32_t kFree = ~std::uint32_t{0};
  std::vector<std::uint32_t> candidates_of(const Fingerprint& print, std::uint32_t group) const;
  Found compare(const std::vector<std::uint32_t>& candidates, const Fingerprint& print,
                const Conversation& conversation) const;
  void put(std::uint32_t key, std::uint32_t entry);
  void grow();

  const ConversationStore& store_;
  double threshold_;
  std::vector<bool> repeated_;  // by a hash of the band: more than one may have it; empty: nothing was expected
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

// |A and B| / |A or B| of the shingles of two conversations, in [0, 1]; 1 when both have no text.
double shingle_similarity(const Conversation& a, const Conversation& b);

}  // namespace attune
