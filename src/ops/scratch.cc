#include "ops/scratch.h"

#include <hwy/aligned_allocator.h>

#include <new>

namespace attune {

float* thread_scratch(std::size_t floats) {
  thread_local hwy::AlignedFreeUniquePtr<float[]> memory;
  thread_local std::size_t size = 0;
  if (floats > size) {
    size = 0;
    memory = hwy::AllocateAligned<float>(floats);
    if (!memory) throw std::bad_alloc();
    size = floats;
  }
  return memory.get();
}

}  // namespace attune
