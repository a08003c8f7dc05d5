// Working memory of a thread: tiles of the attention kernels, too large for the stack.
#pragma once

#include <cstddef>

namespace attune {

// At least `floats` elements, aligned for any vector, owned by the calling thread and valid until its next
// call. Memory is taken once and again only when a larger size is asked for, so a warm training step
// allocates nothing.
float* thread_scratch(std::size_t floats);

}  // namespace attune
