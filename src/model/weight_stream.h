// Weights that stay on disk: mapped from a file, brought in for a use and given back after it, so that they take the memory
// of one block at a time. Slow where the system does not keep the file in memory that nobody else wants; it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/file.h"

namespace attune {

// What a model leaves on disk.
struct Streaming {
  bool embedding = false;   // only when nothing but the lookup reads it
  std::int64_t blocks = 0;  // the linears of the first so many blocks
};

// Tokens that are looked up before their pages are given back, and what these take at most: the system maps up to 64 KiB
// around each page that it must bring in.
inline constexpr std::int64_t kStreamedLookups = 32;
inline constexpr std::size_t kStreamedLookupBytes = std::size_t{kStreamedLookups} << 16;

// Where weights are put that no file holds as they are used: $TMPDIR, or /var/tmp, which unlike /tmp is a disk.
fs::path streaming_folder();

// Parts of file mappings. Nothing else may be given back: other memory would lose what it holds.
class WeightStream {
 public:
  void add_to_block(std::size_t block, std::span<const std::byte> bytes);
  void set_embedding(std::span<const std::byte> bytes);
  bool streams_embedding() const { return !embedding_.empty(); }

  void fetch_block(std::int64_t block) const;  // asks the system to begin reading; blocks that are not there are none
  void give_back_block(std::int64_t block) const;
  void give_back_embedding() const;

 private:
  std::vector<std::vector<std::span<const std::byte>>> blocks_;
  std::span<const std::byte> embedding_;
};

// Takes the pages that lie wholly inside `bytes`, part of a file mapping, out of memory.
void give_back(std::span<const std::byte> bytes);

}  // namespace attune
