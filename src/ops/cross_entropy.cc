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
  for (std::int64_t row = begin; row < end; ++row) {
    float* x = logits + row * columns;
    const std::int32_t target = targets[row];
    const float largest = maximum(x, columns);
    const float margin = x[target] - largest;
    const double sum = exponentials_of_row(x, columns, largest);
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
