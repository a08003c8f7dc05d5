#include "check/length_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attune {
namespace {

constexpr std::int64_t kBins = 20;
constexpr std::int64_t kMultiple = 32;

// 1, 2 or 5 times a power of ten, and at least `least`.
std::int64_t round_width(std::int64_t least) {
  for (std::int64_t power = 1;; power *= 10) {
    for (const std::int64_t step : {1, 2, 5}) {
      if (step * power >= least) return step * power;
    }
  }
}

}  // namespace

LengthSummary summarize_lengths(std::vector<std::int64_t> lengths) {
  LengthSummary summary;
  if (lengths.empty()) return summary;
  std::sort(lengths.begin(), lengths.end());
  summary.rows = lengths.size();
  summary.tokens = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  summary.mean = static_cast<double>(summary.tokens) / static_cast<double>(lengths.size());
  const auto rank = [&](double share) {
    const auto position = static_cast<std::size_t>(std::ceil(share * static_cast<double>(lengths.size())));
    return lengths[std::min(std::max<std::size_t>(position, 1), lengths.size()) - 1];
  };
  summary.shortest = lengths.front();
  summary.median = rank(0.5);
  summary.p90 = rank(0.9);
  summary.p95 = rank(0.95);
  summary.p99 = rank(0.99);
  summary.longest = lengths.back();
  // A few very long rows must not squeeze all others into one bar.
  const std::int64_t shown = summary.longest > 2 * summary.p99 ? summary.p99 : summary.longest;
  const std::int64_t width = round_width((shown - summary.shortest) / kBins + 1);
  const std::int64_t begin = summary.shortest / width * width;
  for (std::int64_t first = begin; first <= shown; first += width)
    summary.histogram.push_back({first, first + width - 1, 0});
  for (const std::int64_t length : lengths) {
    const auto bin = std::min(static_cast<std::size_t>((length - begin) / width), summary.histogram.size() - 1);
    ++summary.histogram[bin].rows;
  }
  auto& last = summary.histogram.back();
  last.last = std::max(last.last, summary.longest);
  return summary;
}

std::int64_t suggested_max_length(const LengthSummary& summary) {
  const std::int64_t held = summary.longest > 2 * summary.p99 ? summary.p99 : summary.longest;
  return std::max(kMultiple, (held + kMultiple - 1) / kMultiple * kMultiple);
}

Json to_json(const LengthSummary& s) {
  Json histogram = Json::array();
  for (const auto& bin : s.histogram)
    histogram.push_back(Json{{"first", bin.first}, {"last", bin.last}, {"rows", bin.rows}});
  return {{"rows", s.rows},       {"tokens", s.tokens},
          {"mean", s.mean},       {"shortest", s.shortest},
          {"median", s.median},   {"p90", s.p90},
          {"p95", s.p95},         {"p99", s.p99},
          {"longest", s.longest}, {"histogram", std::move(histogram)}};
}

}  // namespace attune
