#include "ops/peak.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ops/matmul.h"

namespace attune {
double measure_gemm_peak(DType type, double seconds) {
  double best = 0;
  for (const std::int64_t side : {std::int64_t{1024}, std::int64_t{2048}}) {
    const auto bytes = static_cast<std::size_t>(side * side) * size_of(type);
    std::vector<std::byte> a(bytes), b(bytes), c(bytes);  // zeros multiply as fast as any other finite numbers
    const Matrix x(a.data(), type, side, side, side), w(b.data(), type, side, side, side),
        y(c.data(), type, side, side, side);
    const double work = 2.0 * static_cast<double>(side * side * side);
    best = std::max({best, best_rate(work, seconds / 4, [&] { matmul_bt(y, x, w); }),
                     best_rate(work, seconds / 4, [&] { matmul_bt_onednn(y, x, w); })});
  }
  return best;
}

double measure_memory_bandwidth(double seconds) {
  constexpr std::size_t kWords = std::size_t{1} << 25;  // 256 MB
  std::vector<std::uint64_t> words(kWords, 1);
  volatile std::uint64_t sink = 0;
  return best_rate(static_cast<double>(kWords * sizeof(std::uint64_t)), seconds, [&] {
    std::uint64_t sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (std::size_t i = 0; i < kWords; ++i) sum += words[i];
    sink = sum;
  });
}

}  // namespace attune
