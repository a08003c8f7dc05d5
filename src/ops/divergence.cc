// KL(p || q) = sum p (log p - log q) with log p = base - log sum exp(base) and log q likewise: one pass for the
// exponentials of both and the sum of p (base - logits), one for the gradient.
#include "ops/divergence.h"

#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/divergence.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

// Sum of p[i] (x[i] - y[i]).
HWY_INLINE float weighted_difference(const float* p, const float* x, const float* y, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    sum = hn::MulAdd(hn::LoadU(d, p + i), hn::Sub(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), sum);
  }
  float result = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) result += p[i] * (x[i] - y[i]);
  return result;
}

void divergence_rows(float* divergences, float* base, const float* logits, std::int64_t columns, float weight,
                     std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kBlock = 2048;
  float* const p = thread_scratch(static_cast<std::size_t>(2 * columns));
  float* const q = p + columns;
  for (std::int64_t row = begin; row < end; ++row) {
    float* const x = base + row * columns;
    const float* const y = logits + row * columns;
    const float largest_x = maximum(x, columns), largest_y = maximum(y, columns);
    std::copy(x, x + columns, p);
    std::copy(y, y + columns, q);
    const double sum_p = exponentials_of_row(p, columns, largest_x), sum_q = exponentials_of_row(q, columns, largest_y);
    double difference = 0.0;
    for (std::int64_t i = 0; i < columns; i += kBlock) {
      difference += weighted_difference(p + i, x + i, y + i, std::min(kBlock, columns - i));
    }
    const double log_sums = std::log(sum_q) + largest_y - std::log(sum_p) - largest_x;
    // Rounding may leave a little less than the smallest divergence there is.
    divergences[row] = static_cast<float>(std::max(0.0, difference / sum_p + log_sums));
    const auto of_p = static_cast<float>(weight / sum_p), of_q = static_cast<float>(weight / sum_q);
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::NegMulAdd(load(d, p + i), hn::Set(d, of_p), hn::Mul(load(d, q + i), hn::Set(d, of_q))), x + i);
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(divergence_rows);

void divergence(TensorView divergences, TensorView base, TensorView logits, float weight) {
  const OpTimer timer(OpFamily::kHeadLoss);
  const char* where = "divergence";
  require_f32(where, {divergences, base, logits});
  require_equal_size(where, {base, logits});
  if (logits.elements() == 0) return;
  const std::int64_t rows = logits.rows(), columns = logits.columns();
  require(divergences.elements() == rows, where, "divergences [n]");
  parallel_ranges(rows, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(divergence_rows)
    (divergences.as<float>(), base.as<float>(), logits.as<float>(), columns, weight, begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
