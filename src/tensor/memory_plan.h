// The memory plan is the allocator: one table of named buffers with shape, type and lifetime. `attune plan` prints it,
// an Arena allocates exactly it, once, and a training step allocates nothing.
//
// Lifetimes are half-open intervals of abstract time; the planner of a pass (model/activations.cc) numbers its moments.
// Two buffers whose lifetimes do not overlap may share bytes; placement is greedy by size, lowest free offset first
// (Pisarchyk & Lee, "Efficient memory management for deep neural net inference", 2020).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/tensor.h"

namespace attune {

inline constexpr std::size_t kBufferAlignment = 64;  // a cache line, and the widest vector

// What a buffer is for: the groups that `attune plan` sums.
enum class BufferKind { kWeights, kAdapter, kGradients, kOptimizer, kActivations, kScratch, kCache, kData };
std::string name_of(BufferKind kind);

struct Lifetime {
  int begin = 0;
  int end = std::numeric_limits<int>::max();  // default: always alive
};

struct BufferId {
  int index = -1;
  bool valid() const { return index >= 0; }
};

struct BufferPlan {
  std::string name;
  BufferKind kind;
  DType dtype;
  Shape shape;
  Lifetime lifetime;
  std::size_t bytes;   // unpadded
  std::size_t offset;  // set by MemoryPlan::place()
};

class MemoryPlan {
 public:
  BufferId add(std::string name, BufferKind kind, DType dtype, Shape shape, Lifetime lifetime = {});
  void place();                                 // assigns every offset; idempotent
  std::size_t arena_bytes() const;              // after place()
  std::size_t bytes_of(BufferKind kind) const;  // sum of the buffers of that kind, sharing not considered
  const std::vector<BufferPlan>& buffers() const { return buffers_; }

 private:
  std::vector<BufferPlan> buffers_;
  std::size_t arena_bytes_ = 0;
  bool placed_ = false;
};

// One zeroed allocation that holds every buffer of a placed plan. Views stay valid as long as the arena lives; moving
// the arena does not move the bytes. Throws UserError when the machine has not that much memory to give.
class Arena {
 public:
  Arena() = default;
  explicit Arena(const MemoryPlan& plan);
  // The same in a file without a name in `folder`, for weights that are read again for every use: its memory can be
  // given back (model/weight_stream.h) while the bytes stay on disk. Throws UserError when the disk is full.
  static Arena in_file(const MemoryPlan& plan, const fs::path& folder);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  TensorView view(BufferId id) const;  // empty view for an invalid id
  std::size_t bytes() const { return bytes_; }
  std::span<const std::byte> span() const { return {data_, bytes_}; }

  // Lets the system have the memory of all buffers of a kind, whose values are lost: zeros, in memory again once written.
  // Buffers of another kind that share bytes with them lose theirs too. Returns the bytes. Not for an arena in a file.
  std::size_t give_back(BufferKind kind) const;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::vector<BufferPlan> buffers_;
};

}  // namespace attune
