#include "train/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<int> count{0};
}  // namespace

void* operator new(std::size_t size) {
  if (size >= attune::kLargeAllocation) ++count;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace attune {
int large_allocations() { return count.load(); }
}  // namespace attune
