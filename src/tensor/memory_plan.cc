#include "tensor/memory_plan.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/memory_use.h"
#include "base/progress.h"

namespace attune {
namespace {

std::size_t padded(std::size_t bytes) { return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment; }

// Smaller arenas are not worth a look at what the system has left.
constexpr std::size_t kWorthAsking = std::size_t{64} << 20;

[[noreturn]] void refuse(std::size_t bytes) {
  throw UserError(
      "[memory] the plan needs {} at once and this machine has {} left; close other programs or name a smaller "
      "budget",
      format_bytes(static_cast<double>(bytes)), format_bytes(static_cast<double>(available_memory_bytes())));
}

bool overlap(const Lifetime& a, const Lifetime& b) { return a.begin < b.end && b.begin < a.end; }

}  // namespace

std::string name_of(BufferKind kind) {
  static constexpr const char* kNames[] = {"weights",     "adapter", "gradients", "optimizer",
                                           "activations", "scratch", "cache",     "data"};
  return kNames[static_cast<std::size_t>(kind)];
}

BufferId MemoryPlan::add(std::string name, BufferKind kind, DType dtype, Shape shape, Lifetime lifetime) {
  const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * size_of(dtype);
  buffers_.push_back({std::move(name), kind, dtype, shape, lifetime, bytes, 0});
  placed_ = false;
  return {static_cast<int>(buffers_.size()) - 1};
}

void MemoryPlan::place() {
  if (std::exchange(placed_, true)) return;
  // What lives always shares with nothing: side by side at the bottom, in the order of the table.
  std::size_t bottom = 0;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].lifetime.end != Lifetime{}.end) {
      order.push_back(i);
      continue;
    }
    buffers_[i].offset = bottom;
    bottom += padded(buffers_[i].bytes);
  }
  // The others largest first; ties in the order of the table, so that the same plan always gives the same addresses.
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers_[a].bytes > buffers_[b].bytes; });
  std::vector<std::size_t> done;  // placed buffers, by offset
  arena_bytes_ = bottom;
  for (const std::size_t index : order) {
    BufferPlan& buffer = buffers_[index];
    std::size_t offset = bottom;
    for (const std::size_t other_index : done) {
      const BufferPlan& other = buffers_[other_index];
      if (!overlap(buffer.lifetime, other.lifetime)) continue;
      if (offset + padded(buffer.bytes) <= other.offset) break;
      offset = std::max(offset, other.offset + padded(other.bytes));
    }
    buffer.offset = offset;
    const auto after = [&](std::size_t other) { return buffers_[other].offset <= offset; };
    done.insert(std::partition_point(done.begin(), done.end(), after), index);
    arena_bytes_ = std::max(arena_bytes_, offset + padded(buffer.bytes));
  }
}

std::size_t MemoryPlan::arena_bytes() const {
  if (!placed_) throw InternalError("[memory plan] arena_bytes() before place()");
  return arena_bytes_;
}

std::size_t MemoryPlan::bytes_of(BufferKind kind) const {
  std::size_t sum = 0;
  for (const BufferPlan& buffer : buffers_) sum += buffer.kind == kind ? buffer.bytes : 0;
  return sum;
}

Arena::Arena(const MemoryPlan& plan) : bytes_(plan.arena_bytes()), buffers_(plan.buffers()) {
  if (bytes_ == 0) return;
  // Linux promises more memory than it has and kills who uses it; so the question is asked before.
  if (bytes_ >= kWorthAsking && bytes_ > available_memory_bytes()) refuse(bytes_);
  void* const address = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) refuse(bytes_);
  ::madvise(address, bytes_, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(address);
}

Arena Arena::in_file(const MemoryPlan& plan, const fs::path& folder) {
  Arena arena;
  arena.bytes_ = plan.arena_bytes();
  arena.buffers_ = plan.buffers();
  if (arena.bytes_ == 0) return arena;
  std::string name = (folder / "attune-weights-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  if (file < 0)
    throw UserError("[{}] cannot hold weights: {}; name another folder in TMPDIR", folder.string(),
                    std::strerror(errno));
  ::unlink(name.c_str());
  const int failed = ::posix_fallocate(file, 0, static_cast<off_t>(arena.bytes_));
  void* const address =
      failed != 0 ? MAP_FAILED : ::mmap(nullptr, arena.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int reason = failed != 0 ? failed : errno;
  ::close(file);
  if (address == MAP_FAILED) {
    throw UserError("[{}] cannot hold {} of weights: {}; free space there or name another folder in TMPDIR",
                    folder.string(), format_bytes(static_cast<double>(arena.bytes_)), std::strerror(reason));
  }
  arena.data_ = static_cast<std::byte*>(address);
  return arena;
}

Arena::~Arena() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      buffers_(std::move(other.buffers_)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(buffers_, other.buffers_);
  return *this;
}

std::size_t Arena::give_back(BufferKind kind) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<std::pair<std::size_t, std::size_t>> ranges;  // whole pages
  for (const BufferPlan& buffer : buffers_) {
    if (buffer.kind != kind) continue;
    const std::size_t begin = (buffer.offset + page - 1) / page * page,
                      end = (buffer.offset + buffer.bytes) / page * page;
    if (begin < end) ranges.emplace_back(begin, end);
  }
  std::sort(ranges.begin(), ranges.end());
  std::size_t bytes = 0, done = 0;
  for (const auto& [begin, end] : ranges) {
    const std::size_t first = std::max(begin, done);
    if (first >= end) continue;
    ::madvise(data_ + first, end - first, MADV_DONTNEED);
    bytes += end - first;
    done = end;
  }
  return bytes;
}

TensorView Arena::view(BufferId id) const {
  if (!id.valid()) return {};
  const BufferPlan& buffer = buffers_[static_cast<std::size_t>(id.index)];
  return {data_ + buffer.offset, buffer.dtype, buffer.shape};
}

}  // namespace attune
