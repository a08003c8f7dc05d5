#include "ops/peak.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/rng.h"
#include "ops/matmul.h"
#include "tensor/memory_plan.h"

namespace attune {
namespace {

struct SquareProduct {
  SquareProduct(DType type, std::int64_t side) : work(2.0 * static_cast<double>(side * side * side)) {
    MemoryPlan plan;
    std::array<BufferId, 3> ids;
    for (BufferId& id : ids) id = plan.add("", BufferKind::kScratch, type, {side, side});
    plan.place();
    arena = Arena(plan);
    fill_uniform(arena.view(ids[0]));
    fill_uniform(arena.view(ids[1]));
    x = Matrix(arena.view(ids[0])), w = Matrix(arena.view(ids[1])), y = Matrix(arena.view(ids[2]));
  }

  double work;
  Arena arena;
  Matrix x, w, y;
};

}  // namespace

void fill_uniform(TensorView view) {
  constexpr std::int64_t kRows = 64;
  const std::int64_t different = std::min(kRows, view.rows());
  Rng random;
  for (std::int64_t i = 0; i < different * view.columns(); ++i) {
    const float value = 2.0f * random.uniform_float() - 1.0f;
    if (view.dtype == DType::kF32)
      view.as<float>()[i] = value;
    else
      view.as<bf16>()[i] = to_bf16(value);
  }
  for (std::int64_t row = different; row < view.rows(); ++row) {
    const TensorView to = view.slice_rows(row, 1);
    std::memcpy(to.data, view.slice_rows(row - different, 1).data, to.bytes());
  }
}

double measure_gemm_peak(DType type, double seconds) {
  double best = 0;
  for (const std::int64_t side : {1024, 2048}) {
    const SquareProduct p(type, side);
    best = std::max({best, best_rate(p.work, seconds / 4, [&] { matmul_bt(p.y, p.x, p.w); }),
                     best_rate(p.work, seconds / 4, [&] { matmul_bt_onednn(p.y, p.x, p.w); })});
  }
  return best;
}

double sustained_gemm_rate(DType type, double seconds) {
  const SquareProduct p(type, 2048);
  return mean_rate(p.work, seconds, [&] { matmul_bt(p.y, p.x, p.w); });
}

namespace {

// rate(bytes, read) of reading a large buffer once a round.
template <typename Rate>
double rate_of_reading(const Rate& rate) {
  constexpr std::int64_t kWords = std::int64_t{1} << 25, kChunk = 64;  // 256 MB
  MemoryPlan plan;
  const BufferId id = plan.add("", BufferKind::kScratch, DType::kI64, {kWords});
  plan.place();
  const Arena arena(plan);  // in the large pages that weights have: small ones cost a quarter of the bandwidth
  auto* const words = arena.view(id).as<std::int64_t>();
  std::fill_n(words, kWords, 1);
  [[maybe_unused]] volatile std::int64_t sink = 0;  // without it nothing need be read
  return rate(static_cast<double>(kWords * sizeof(std::int64_t)), [&] {
    std::int64_t sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (std::int64_t begin = 0; begin < kWords; begin += kChunk) {
      std::int64_t sums[4] = {};  // four additions at a time wait for nothing but memory
      for (std::int64_t i = begin; i < begin + kChunk; i += 4) {
        for (std::int64_t j = 0; j < 4; ++j) sums[j] += words[i + j];
      }
      sum += sums[0] + sums[1] + sums[2] + sums[3];
    }
    sink = sum;
  });
}

}  // namespace

double measure_memory_bandwidth(double seconds) {
  return rate_of_reading([&](double bytes, const auto& read) { return best_rate(bytes, seconds, read); });
}

double sustained_memory_bandwidth(double seconds) {
  return rate_of_reading([&](double bytes, const auto& read) { return mean_rate(bytes, seconds, read); });
}

}  // namespace attune
