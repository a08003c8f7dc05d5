// Every part of a parallel loop runs once, whoever takes it.
#include "ops/parallel.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
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

struct CountedStage {
  int thread, number;
};

TEST(SharedStages, EveryUnitOfEveryStageIsDoneOnceBeforeTheNextBegins) {
  constexpr int kThreads = 3, kStages = 20, kUnits = 7;
  std::atomic<int> done[kThreads][kStages] = {};
  std::atomic<bool> in_order = true;
  SharedStages<CountedStage> stages(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto run = [&](const CountedStage& stage, std::int64_t, std::int64_t count) {
        if (stage.number > 0 && done[stage.thread][stage.number - 1] != kUnits) in_order = false;
        done[stage.thread][stage.number] += static_cast<int>(count);
      };
      for (int i = 0; i < kStages; ++i) stages.work(t, CountedStage{t, i}, kUnits, 1 + i % 3, run);
      stages.help(run);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(in_order);
  for (const auto& of_thread : done) {
    for (const std::atomic<int>& units : of_thread) EXPECT_EQ(units, kUnits);
  }
}

TEST(SharedStages, AThreadWithoutWorkDoesTheUnitsOfOneThatIsHeldUp) {
  std::atomic<int> helped = 0;
  SharedStages<CountedStage> stages(2);
  std::thread helper([&] {
    stages.help([&](const CountedStage& stage, std::int64_t, std::int64_t) { helped += stage.thread == 0; });
  });
  // The first unit ends when all others are done, which its own thread cannot do meanwhile.
  const auto wait = [&](const CountedStage&, std::int64_t unit, std::int64_t) {
    while (unit == 0 && helped < 4) std::this_thread::yield();
  };
  stages.work(0, CountedStage{0, 0}, 5, 1, wait);
  stages.help(wait);
  helper.join();
  EXPECT_GE(helped, 4);
}

}  // namespace
}  // namespace attune
