#include "base/spill.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"

namespace attune {
namespace {

// What all buffers of the process may hold on the heap together, and the size up to which one stays there in any case.
constexpr std::size_t kHeapBytes = std::size_t{96} << 20;
constexpr std::size_t kSmallBytes = std::size_t{1} << 16;
constexpr std::size_t kFirstBytes = 256;
constexpr std::size_t kMaxStepBytes = std::size_t{256} << 20;  // a file grows by no more at a time

std::atomic<std::size_t> heap_bytes{0};

std::string temporary_folder() {
  const char* const chosen = std::getenv("TMPDIR");
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

// A file without a name. Where the file system has no such files, one whose name is removed at once.
int open_unnamed(const std::string& folder) {
  const int unnamed = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (unnamed >= 0) return unnamed;
  std::string name = folder + "/attune-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named < 0) {
    throw UserError("[{}] no temporary file can be made there: {}; name another folder in TMPDIR", folder,
                    std::strerror(errno));
  }
  ::unlink(name.c_str());
  return named;
}

[[noreturn]] void fail_full(int error) {
  throw UserError("[{}] the temporary file cannot grow: {}; name a folder with more room in TMPDIR", temporary_folder(),
                  std::strerror(error));
}

}  // namespace

void ResidentPages::settle(const std::byte* data, std::size_t size) const {
  if (size > 0) ::madvise(const_cast<std::byte*>(data), size, MADV_DONTNEED);
  last_ = kNone;
  recent_.fill(kNone);
}

void ResidentPages::turn_to(const std::byte* data, std::size_t size, std::size_t block) const {
  last_ = block;
  if (std::find(recent_.begin(), recent_.end(), block) != recent_.end()) return;
  const std::size_t leaving = std::exchange(recent_[oldest_], block);
  oldest_ = (oldest_ + 1) % recent_.size();
  if (leaving == kNone || leaving * kBlockBytes >= size) return;
  const std::size_t begin = leaving * kBlockBytes;
  ::madvise(const_cast<std::byte*>(data) + begin, std::min(kBlockBytes, size - begin), MADV_DONTNEED);
}

SpillBuffer::~SpillBuffer() { clear(); }

SpillBuffer::SpillBuffer(SpillBuffer&& other) noexcept { swap(other); }

SpillBuffer& SpillBuffer::operator=(SpillBuffer&& other) noexcept {
  swap(other);
  return *this;
}

void SpillBuffer::swap(SpillBuffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(file_, other.file_);
  std::swap(pages_, other.pages_);
}

void SpillBuffer::clear() {
  if (file_ >= 0) {
    ::munmap(data_, capacity_);
    ::close(file_);
  } else {
    heap_bytes -= capacity_;
    std::free(data_);
  }
  data_ = nullptr;
  size_ = capacity_ = 0;
  file_ = -1;
  pages_ = {};
}

void SpillBuffer::append(const void* bytes, std::size_t count) {
  if (count > capacity_ - size_) grow(size_ + count);
  if (count == 0) return;
  touch(size_);
  std::memcpy(data_ + size_, bytes, count);
  size_ += count;
}

// At least `capacity` bytes, and enough more that many small appends cost little.
void SpillBuffer::grow(std::size_t capacity) {
  capacity = std::max({capacity, kFirstBytes, capacity_ + std::min(capacity_, kMaxStepBytes)});
  if (file_ < 0 && (capacity <= kSmallBytes || heap_bytes + capacity - capacity_ <= kHeapBytes)) {
    void* const moved = std::realloc(data_, capacity);
    if (moved == nullptr) throw UserError("[import] out of memory ({} bytes)", capacity);
    data_ = static_cast<std::byte*>(moved);
    heap_bytes += capacity - capacity_;
    capacity_ = capacity;
    return;
  }
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  capacity = (capacity + page - 1) / page * page;
  if (file_ < 0) return move_to_file(capacity);
  // posix_fallocate and not ftruncate: a full disk must be an error here and not a signal at the write.
  if (const int error = ::posix_fallocate(file_, 0, static_cast<off_t>(capacity)); error != 0) fail_full(error);
  void* const moved = ::mremap(data_, capacity_, capacity, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) fail_full(errno);
  data_ = static_cast<std::byte*>(moved);
  capacity_ = capacity;
}

void SpillBuffer::move_to_file(std::size_t capacity) {
  const int file = open_unnamed(temporary_folder());
  int error = ::posix_fallocate(file, 0, static_cast<off_t>(capacity));
  void* mapped = MAP_FAILED;
  if (error == 0) {
    mapped = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    error = errno;
  }
  if (mapped == MAP_FAILED) {
    ::close(file);
    fail_full(error);
  }
  if (size_ > 0) std::memcpy(mapped, data_, size_);
  const std::size_t size = size_;
  clear();
  data_ = static_cast<std::byte*>(mapped);
  size_ = size;
  capacity_ = capacity;
  file_ = file;
  settle();
}

}  // namespace attune
