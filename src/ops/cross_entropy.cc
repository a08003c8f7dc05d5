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

#include "ops/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

// The exponentials x become the gradient, from the beginning of their memory on: a narrower element is never written before
// what stood there is read.
template <typename T>
HWY_INLINE void write_gradient(float* x, std::int64_t count, float factor, std::int32_t target) {
  T* const out = reinterpret_cast<T*>(x);
  const OneF32 one;
  const float of_target = x[target] * factor - 1.0f;
  for_lanes(0, count,
            [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::Mul(load(d, x + i), hn::Set(d, factor)), out + i); });
  store(one, hn::Set(one, of_target), out + target);
}

void cross_entropy_rows(float* losses, float* logits, const std::int32_t* targets, std::int64_t columns, bool gradient,
                        DType type, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    float* x = logits + row * columns;
    const std::int32_t target = targets[row];
    const float largest = maximum(x, columns);
    const float margin = x[target] - largest;
    const double sum = exponentials_of_row(x, columns, largest);
    losses[row] = static_cast<float>(std::log(sum) - margin);
    if (!gradient) continue;
    const auto factor = static_cast<float>(1.0 / sum);
    if (type == DType::kF32) {
      write_gradient<float>(x, columns, factor, target);
    } else {
      write_gradient<bf16>(x, columns, factor, target);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(cross_entropy_rows);

namespace {

void run(TensorView losses, TensorView logits, TensorView targets, bool gradient, DType type) {
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
  parallel_ranges(rows, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(cross_entropy_rows)
    (losses.as<float>(), logits.as<float>(), targets.as<std::int32_t>(), columns, gradient, type, begin, end);
  });
}

}  // namespace

void cross_entropy_forward(TensorView losses, TensorView logits, TensorView targets) {
  run(losses, logits, targets, false, DType::kF32);
}

Matrix in_rows_of(TensorView rows, DType type) {
  const std::int64_t stride = rows.columns() * static_cast<std::int64_t>(sizeof(float) / size_of(type));
  return {rows.data, type, rows.rows(), rows.columns(), stride};
}

Matrix cross_entropy_backward(TensorView losses, TensorView logits, TensorView targets, DType type) {
  require(type == DType::kF32 || type == DType::kBF16, "cross_entropy", "a gradient in f32 or bf16");
  run(losses, logits, targets, true, type);
  return in_rows_of(logits, type);
}

}  // namespace attune
#endif  // HWY_ONCE
