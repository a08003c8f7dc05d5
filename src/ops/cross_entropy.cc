// Cross-entropy, row by row while the row is in cache: maximum; exponentials and their sum; scaling.
#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cross_entropy.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE float maximum(const float* x, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto m0 = hn::Set(d, x[0]), m1 = m0, m2 = m0, m3 = m0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    m0 = hn::Max(m0, hn::LoadU(d, x + i));
    m1 = hn::Max(m1, hn::LoadU(d, x + i + lanes));
    m2 = hn::Max(m2, hn::LoadU(d, x + i + 2 * lanes));
    m3 = hn::Max(m3, hn::LoadU(d, x + i + 3 * lanes));
  }
  float result = hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
  for (; i < count; ++i) result = std::max(result, x[i]);
  return result;
}

// x = exp(x - shift); returns the sum.
HWY_INLINE float exponentials(float* x, std::int64_t count, float shift) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto subtract = hn::Set(d, shift);
  auto s0 = hn::Zero(d), s1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto e0 = exponential(d, hn::Sub(hn::LoadU(d, x + i), subtract));
    const auto e1 = exponential(d, hn::Sub(hn::LoadU(d, x + i + lanes), subtract));
    hn::StoreU(e0, d, x + i);
    hn::StoreU(e1, d, x + i + lanes);
    s0 = hn::Add(s0, e0);
    s1 = hn::Add(s1, e1);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < count; ++i) {
    const OneF32 one;
    const auto e = exponential(one, hn::Set(one, x[i] - shift));
    x[i] = hn::GetLane(e);
    sum += x[i];
  }
  return sum;
}

template <typename T>
HWY_INLINE void scale_into(T* out, float* x, std::int64_t count, float factor) {
  for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto p = hn::Mul(load(d, x + i), hn::Set(d, factor));
    store(d, p, x + i);
    store(d, p, out + i);
  });
}

void cross_entropy_rows(float* losses, float* logits, const TensorView& dlogits, const std::int32_t* targets,
                        std::int64_t columns, std::int64_t begin, std::int64_t end) {
  // f32 sums of at most this many terms, added in f64: the loss of a large vocabulary keeps its last digits.
  constexpr std::int64_t kBlock = 2048;
  for (std::int64_t row = begin; row < end; ++row) {
    float* x = logits + row * columns;
    const std::int32_t target = targets[row];
    const float largest = maximum(x, columns);
    const float margin = x[target] - largest;
    double sum = 0.0;
    for (std::int64_t i = 0; i < columns; i += kBlock) {
      sum += exponentials(x + i, std::min(kBlock, columns - i), largest);
    }
    losses[row] = static_cast<float>(std::log(sum) - margin);
    const auto factor = static_cast<float>(1.0 / sum);
    if (dlogits.empty()) {
      scale_into(x, x, columns, factor);
    } else if (dlogits.dtype == DType::kF32) {
      float* out = dlogits.as<float>() + row * columns;
      scale_into(out, x, columns, factor);
      out[target] = x[target] - 1.0f;
    } else {
      bf16* out = dlogits.as<bf16>() + row * columns;
      scale_into(out, x, columns, factor);
      out[target] = to_bf16(x[target] - 1.0f);
    }
    x[target] -= 1.0f;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(cross_entropy_rows);

void cross_entropy(TensorView losses, TensorView logits, TensorView dlogits, TensorView targets) {
  const OpTimer timer(OpFamily::kHeadLoss);
  const char* where = "cross_entropy";
  require_f32(where, {losses, logits});
  if (logits.elements() == 0) return;
  const std::int64_t rows = logits.rows(), columns = logits.columns();
  require(losses.elements() == rows, where, "losses [n]");
  require(targets.dtype == DType::kI32 && targets.elements() == rows, where, "targets [n] i32");
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int32_t target = targets.as<std::int32_t>()[row];
    require(target >= 0 && target < columns, where, "every target in [0, V)");
  }
  if (!dlogits.empty()) {
    require_activations(where, {dlogits});
    require_equal_size(where, {dlogits, logits});
  }
  parallel_ranges(rows, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(cross_entropy_rows)
    (losses.as<float>(), logits.as<float>(), dlogits, targets.as<std::int32_t>(), columns, begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
