// Test only: operator new, replaced in the test program, counts allocations of a size that a training step may not
// make. oneDNN's own argument lists are smaller.
#pragma once

#include <cstddef>

namespace attune {

inline constexpr std::size_t kLargeAllocation = 16 * 1024;
int large_allocations();  // since the program began

}  // namespace attune
