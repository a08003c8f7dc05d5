// Work that threads take from one another, since on a machine that others use as well some thread is always held up.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

namespace attune {

inline constexpr int kMostSharing = 64;  // threads

// What one thread has left of a row of parts: it takes from the beginning, others from the end. Whoever takes a part sees
// what was written before set().
class alignas(64) Share {
 public:
  struct Range {
    std::int64_t begin = -1, count = 0;
  };

  void set(std::int64_t begin, std::int64_t end) { parts_.store(packed(begin, end), std::memory_order_release); }

  // Up to `most` parts in order; none: begin is -1.
  Range take_first(std::int64_t most) {
    return take([most](std::int64_t& begin, std::int64_t& end) {
      const Range range{begin, std::min(most, end - begin)};
      begin += range.count;
      return range;
    });
  }

  // The last part; -1 when none is left.
  std::int64_t take_last() {
    return take([](std::int64_t&, std::int64_t& end) { return Range{--end, 1}; }).begin;
  }

 private:
  static std::uint64_t packed(std::int64_t begin, std::int64_t end) {
    return static_cast<std::uint64_t>(begin) << 32 | static_cast<std::uint64_t>(end);
  }

  template <typename Which>
  Range take(Which which) {
    std::uint64_t parts = parts_.load(std::memory_order_relaxed);
    while (true) {
      auto begin = static_cast<std::int64_t>(parts >> 32), end = static_cast<std::int64_t>(parts & 0xFFFFFFFF);
      if (begin >= end) return {};
      const Range range = which(begin, end);
      if (parts_.compare_exchange_weak(parts, packed(begin, end), std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return range;
      }
    }
  }

  std::atomic<std::uint64_t> parts_ = 0;
};

// Threads whose work comes in stages one after the other, each of units in any order; what all units of a stage read is a
// Stage. A thread that has no stage left does units of the others'.
template <typename Stage>
class SharedStages {
 public:
  explicit SharedStages(std::int64_t threads) : threads_(threads), working_(threads) {}

  // Thread `thread` does run(stage, begin, count) until all of [0, units) are done, `most` units at a time.
  template <typename Run>
  void work(int thread, const Stage& stage, std::int64_t units, std::int64_t most, const Run& run) {
    Place& place = places_[static_cast<std::size_t>(thread)];
    place.stage = &stage;
    place.done.store(0, std::memory_order_relaxed);
    place.units.set(0, units);
    std::int64_t done = 0;
    for (Share::Range range; (range = place.units.take_first(most)).count > 0; done += range.count) {
      run(stage, range.begin, range.count);
    }
    while (done + place.done.load(std::memory_order_acquire) < units) std::this_thread::yield();
  }

  // Called by a thread after its last stage: returns when no thread has work left.
  template <typename Run>
  void help(const Run& run) {
    working_.fetch_sub(1, std::memory_order_relaxed);
    while (working_.load(std::memory_order_relaxed) > 0) {
      bool helped = false;
      for (std::int64_t t = 0; t < threads_; ++t) {
        Place& place = places_[static_cast<std::size_t>(t)];
        const std::int64_t unit = place.units.take_last();
        if (unit < 0) continue;
        run(*place.stage, unit, std::int64_t{1});
        place.done.fetch_add(1, std::memory_order_release);
        helped = true;
      }
      if (!helped) std::this_thread::yield();
    }
  }

 private:
  struct Place {
    Share units;
    std::atomic<std::int64_t> done = 0;  // by others
    const Stage* stage = nullptr;
  };
  std::array<Place, kMostSharing> places_;
  const std::int64_t threads_;
  std::atomic<std::int64_t> working_;
};

}  // namespace attune
