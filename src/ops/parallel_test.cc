// Every part of a parallel loop runs once, whoever takes it.
#include "ops/parallel.h"

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

namespace attune {
namespace {

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

Ranges ranges_of(std::int64_t count, std::int64_t grain, int threads) {
  Ranges ranges;
  std::mutex mutex;
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  parallel_streams(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace_back(begin, end);
  });
  omp_set_num_threads(before);
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

TEST(ParallelStreams, CoverEveryElementOnce) {
  for (const std::int64_t count : {0, 1, 7, 64, 1000}) {
    for (const std::int64_t grain : {1, 3, 64}) {
      Ranges want;
      for (std::int64_t begin = 0; begin < count; begin += grain) {
        want.emplace_back(begin, std::min(count, begin + grain));
      }
      for (const int threads : {1, 2, 5}) EXPECT_EQ(ranges_of(count, grain, threads), want) << count << " / " << grain;
    }
  }
}

TEST(ParallelStreams, AThreadThatIsHeldUpLosesItsPartsToTheOthers) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(2);
  std::atomic<int> done = 0;
  std::vector<int> taken_by(16);
  // The first part waits for all others, its own thread's among them: with shares that nobody else may touch it would wait
  // forever.
  parallel_streams(16, 1, [&](std::int64_t part, std::int64_t) {
    taken_by[static_cast<std::size_t>(part)] = omp_get_thread_num();
    if (part == 0 && omp_get_num_threads() == 2) {
      while (done < 15) {
      }
    }
    ++done;
  });
  omp_set_num_threads(before);
  EXPECT_EQ(done, 16);
  if (taken_by[0] != taken_by[15]) {
    EXPECT_EQ(taken_by[1], taken_by[15]);
  }
}

}  // namespace
}  // namespace attune
