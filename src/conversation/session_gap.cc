#include "conversation/session_gap.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace attune {
namespace {

constexpr std::size_t kOctaves = 16;     // of minutes: 1 minute to 45 days
constexpr std::size_t kFirstValley = 3;  // 8 minutes
constexpr std::size_t kLastValley = 12;  // up to 5.7 days; the middle of the bin stays below 3 days by kLongestGap
constexpr std::int64_t kLongestGap = 3 * 24 * 3600;
constexpr std::uint64_t kFewestPauses = 100;
constexpr double kLeastDepth = 1.25;

using Histogram = std::array<double, kOctaves>;

Histogram smooth(const Histogram& counts) {
  Histogram smoothed{};
  for (std::size_t i = 0; i < kOctaves; ++i) {
    const double left = i > 0 ? counts[i - 1] : counts[i], right = i + 1 < kOctaves ? counts[i + 1] : counts[i];
    smoothed[i] = (left + 2 * counts[i] + right) / 4;
  }
  return smoothed;
}

}  // namespace

SessionGap learn_session_gap(std::span<const ChatLog> logs, std::int64_t fallback) {
  SessionGap gap{fallback, 0, false};
  Histogram counts{};
  for (const ChatLog& log : logs) {
    if (!log.sessions.empty()) continue;  // the export tells where they begin
    for (std::size_t i = 1; i < log.messages.size(); ++i) {
      const std::int64_t minutes = (log.messages[i].time - log.messages[i - 1].time) / 60;
      if (minutes < 1) continue;
      const auto octave = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(minutes))) - 1;
      ++counts[std::min(octave, kOctaves - 1)];
      ++gap.pauses;
    }
  }
  if (gap.pauses < kFewestPauses) return gap;

  const Histogram hills = smooth(counts);
  // Half a pause stands for none, so that an empty valley has a depth; equal depths make one wide valley.
  const auto depth = [&](std::size_t i) {
    const double left = *std::max_element(hills.begin(), hills.begin() + static_cast<std::ptrdiff_t>(i));
    const double right = *std::max_element(hills.begin() + static_cast<std::ptrdiff_t>(i) + 1, hills.end());
    return std::min(left, right) / (hills[i] + 0.5);
  };
  std::size_t first = kFirstValley, last = kFirstValley;
  for (std::size_t i = kFirstValley + 1; i <= kLastValley; ++i) {
    if (depth(i) > depth(first)) {
      first = last = i;
    } else if (i == last + 1 && depth(i) == depth(first)) {
      last = i;
    }
  }
  if (depth(first) < kLeastDepth) return gap;
  gap.valley = true;
  const double middle = std::exp2((static_cast<double>(first) + static_cast<double>(last) + 1) / 2);  // minutes
  gap.seconds = std::min(static_cast<std::int64_t>(middle) * 60, kLongestGap);
  return gap;
}

}  // namespace attune
