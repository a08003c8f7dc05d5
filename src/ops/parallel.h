// Threads. Work is cut into parts whose borders depend on the problem alone, never on the thread count, so
// that a part computes the same bits whichever thread takes it. Kernels themselves are sequential.
#pragma once

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/share.h"

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

// As parallel_ranges, for work that is bound by reading memory in order: every thread goes through a share of its own, and
// who comes to an end first takes from the ends of what the others have left, so that none waits for one that was held up.
template <typename Body>
void parallel_streams(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t parts = (count + grain - 1) / grain;
  const int threads = std::min(omp_get_max_threads(), kMostSharing);
  const auto run = [&](std::int64_t part) { body(part * grain, std::min(count, (part + 1) * grain)); };
  if (parts <= 1 || threads == 1) {
    for (std::int64_t part = 0; part < parts; ++part) run(part);
    return;
  }
  std::array<Share, kMostSharing> shares;
  for (int t = 0; t < threads; ++t) {
    shares[static_cast<std::size_t>(t)].set(parts * t / threads, parts * (t + 1) / threads);
  }
#pragma omp parallel num_threads(threads)
  for (int t = 0; t < threads; ++t) {
    Share& share = shares[static_cast<std::size_t>((omp_get_thread_num() + t) % threads)];
    while (true) {
      const std::int64_t part = t == 0 ? share.take_first(1).begin : share.take_last();
      if (part < 0) break;
      run(part);
    }
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
