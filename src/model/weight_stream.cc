#include "model/weight_stream.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace attune {
namespace {

// `bytes` shrunk to whole pages, or with `grow` the pages that it touches.
void advise(std::span<const std::byte> bytes, int advice, bool grow) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()), end = begin + bytes.size();
  const std::uintptr_t first = (grow ? begin : begin + page - 1) / page * page;
  const std::uintptr_t last = (grow ? end + page - 1 : end) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

}  // namespace

fs::path streaming_folder() {
  const char* const named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/var/tmp";
}

void give_back(std::span<const std::byte> bytes) { advise(bytes, MADV_DONTNEED, false); }

void WeightStream::add_to_block(std::size_t block, std::span<const std::byte> bytes) {
  if (blocks_.size() <= block) blocks_.resize(block + 1);
  blocks_[block].push_back(bytes);
}

void WeightStream::set_embedding(std::span<const std::byte> bytes) {
  embedding_ = bytes;
  advise(bytes, MADV_RANDOM, true);      // a row is read, its neighbours are not
  advise(bytes, MADV_NOHUGEPAGE, true);  // else 2 MB may be mapped for one row where the file lies in large pieces
}

void WeightStream::fetch_block(std::int64_t block) const {
  if (block < 0 || block >= std::ssize(blocks_)) return;
  for (const auto& bytes : blocks_[static_cast<std::size_t>(block)]) advise(bytes, MADV_WILLNEED, true);
}

void WeightStream::give_back_block(std::int64_t block) const {
  if (block < 0 || block >= std::ssize(blocks_)) return;
  for (const auto& bytes : blocks_[static_cast<std::size_t>(block)]) give_back(bytes);
}

void WeightStream::give_back_embedding() const { give_back(embedding_); }

}  // namespace attune
