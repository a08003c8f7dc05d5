// Threads. Work is cut into parts whose borders depend on the problem alone, never on the thread count, so
// that a part computes the same bits whichever thread takes it. Kernels themselves are sequential.
#pragma once

#include <algorithm>
#include <cstdint>

namespace attune {

// Calls body(begin, end) for consecutive ranges of `grain` (the last may be shorter) that cover [0, count).
// The body must not throw.
template <typename Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t parts = (count + grain - 1) / grain;
#pragma omp parallel for schedule(static) if (parts > 1)
  for (std::int64_t part = 0; part < parts; ++part) {
    body(part * grain, std::min(count, (part + 1) * grain));
  }
}

// Calls body(task) for every task in [0, count); for tasks of unequal cost, the dear ones first.
template <typename Body>
void parallel_tasks(std::int64_t count, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1) if (count > 1)
  for (std::int64_t task = 0; task < count; ++task) body(task);
}

// Elements per part that make starting a part cheap by comparison, and a multiple of a cache line in any
// type.
inline constexpr std::int64_t kElementGrain = 16384;

// Rows of `columns` elements per part.
inline std::int64_t row_grain(std::int64_t columns) {
  return std::max<std::int64_t>(1, kElementGrain / std::max<std::int64_t>(1, columns));
}

}  // namespace attune
