// RMSNorm. dweight is summed by columns, tokens in order, so that its bits do not depend on the thread count.
#include "ops/rms_norm.h"

#include <cmath>

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rms_norm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

// Sum of term(d, i) for i in [0, count). Four sums side by side hide the latency of the addition.
template <class Term>
HWY_INLINE float sum_of(std::int64_t count, const Term& term) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = hn::Add(s0, term(d, i));
    s1 = hn::Add(s1, term(d, i + lanes));
    s2 = hn::Add(s2, term(d, i + 2 * lanes));
    s3 = hn::Add(s3, term(d, i + 3 * lanes));
  }
  for (; i + lanes <= count; i += lanes) s0 = hn::Add(s0, term(d, i));
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; i < count; ++i) sum += hn::GetLane(term(OneF32(), i));
  return sum;
}

template <typename T>
void forward_as(T* out, float* inv_rms, const T* x, const float* weight, float eps, std::int64_t columns,
                std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const T* in = x + row * columns;
    T* to = out + row * columns;
    const float squares = sum_of(columns, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto v = load(d, in + i);
      return hn::Mul(v, v);
    });
    const float inv = 1.0f / std::sqrt(squares / static_cast<float>(columns) + eps);
    inv_rms[row] = inv;
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(hn::Mul(load(d, in + i), hn::Set(d, inv)), load(d, weight + i)), to + i);
    });
  }
}

// dx = inv (w dout) - x inv^3 mean(w dout x)
template <typename T>
void backward_as(T* dx, GradientMode mode, const T* dout, const T* x, const float* weight, const float* inv_rms,
                 std::int64_t columns, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const T* in = x + row * columns;
    const T* g = dout + row * columns;
    T* to = dx + row * columns;
    const float inv = inv_rms[row];
    const float dot = sum_of(columns, [&](auto d, std::int64_t i) HWY_ATTR {
      return hn::Mul(hn::Mul(load(d, g + i), load(d, weight + i)), load(d, in + i));
    });
    const float pull = dot / static_cast<float>(columns) * inv * inv * inv;
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto direct = hn::Mul(hn::Mul(load(d, g + i), load(d, weight + i)), hn::Set(d, inv));
      auto value = hn::NegMulAdd(load(d, in + i), hn::Set(d, pull), direct);
      if (mode == GradientMode::kAccumulate) value = hn::Add(value, load(d, to + i));
      store(d, value, to + i);
    });
  }
}

template <typename T>
void weight_as(float* dweight, const T* dout, const T* x, const float* inv_rms, std::int64_t rows, std::int64_t columns,
               std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const T* in = x + row * columns;
    const T* g = dout + row * columns;
    for_lanes(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto normalized = hn::Mul(load(d, in + i), hn::Set(d, inv_rms[row]));
      store(d, hn::MulAdd(load(d, g + i), normalized, load(d, dweight + i)), dweight + i);
    });
  }
}

void rms_norm_forward_rows(const TensorView& out, float* inv_rms, const TensorView& x, const float* weight, float eps,
                           std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    forward_as(out.as<float>(), inv_rms, x.as<float>(), weight, eps, x.columns(), begin, end);
  } else {
    forward_as(out.as<bf16>(), inv_rms, x.as<bf16>(), weight, eps, x.columns(), begin, end);
  }
}

void rms_norm_backward_rows(const TensorView& dx, GradientMode mode, const TensorView& dout, const TensorView& x,
                            const float* weight, const float* inv_rms, std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    backward_as(dx.as<float>(), mode, dout.as<float>(), x.as<float>(), weight, inv_rms, x.columns(), begin, end);
  } else {
    backward_as(dx.as<bf16>(), mode, dout.as<bf16>(), x.as<bf16>(), weight, inv_rms, x.columns(), begin, end);
  }
}

void rms_norm_weight_columns(float* dweight, const TensorView& dout, const TensorView& x, const float* inv_rms,
                             std::int64_t begin, std::int64_t end) {
  if (x.dtype == DType::kF32) {
    weight_as(dweight, dout.as<float>(), x.as<float>(), inv_rms, x.rows(), x.columns(), begin, end);
  } else {
    weight_as(dweight, dout.as<bf16>(), x.as<bf16>(), inv_rms, x.rows(), x.columns(), begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(rms_norm_forward_rows);
HWY_EXPORT(rms_norm_backward_rows);
HWY_EXPORT(rms_norm_weight_columns);

namespace {

constexpr std::int64_t kWeightColumns = 128;  // of dweight per part: whole cache lines of x in either type

}  // namespace

void rms_norm_forward(TensorView out, TensorView inv_rms, TensorView x, TensorView weight, float eps) {
  const OpTimer timer(OpFamily::kElementwise);
  const char* where = "rms_norm_forward";
  require_activations(where, {out, x});
  require_f32(where, {inv_rms, weight});
  require_equal_size(where, {out, x});
  if (x.elements() == 0) return;
  require(inv_rms.elements() == x.rows() && weight.elements() == x.columns(), where, "inv_rms [N] and weight [C]");
  parallel_ranges(x.rows(), row_grain(x.columns()), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(rms_norm_forward_rows)
    (out, inv_rms.as<float>(), x, weight.as<float>(), eps, begin, end);
  });
}

void rms_norm_backward(TensorView dx, GradientMode mode, TensorView dweight, TensorView dout, TensorView x,
                       TensorView weight, TensorView inv_rms) {
  const OpTimer timer(OpFamily::kElementwise);
  const char* where = "rms_norm_backward";
  require_activations(where, {dx, dout, x});
  require_f32(where, {inv_rms, weight, dweight});
  require_equal_size(where, {dx, dout, x});
  if (x.elements() == 0) return;
  require(inv_rms.elements() == x.rows() && weight.elements() == x.columns(), where, "inv_rms [N] and weight [C]");
  if (!dweight.empty()) {  // before dx, which may overwrite dout
    require(dweight.elements() == x.columns(), where, "dweight [C]");
    parallel_ranges(x.columns(), kWeightColumns, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(rms_norm_weight_columns)
      (dweight.as<float>(), dout, x, inv_rms.as<float>(), begin, end);
    });
  }
  parallel_ranges(x.rows(), row_grain(x.columns()), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(rms_norm_backward_rows)
    (dx, mode, dout, x, weight.as<float>(), inv_rms.as<float>(), begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
