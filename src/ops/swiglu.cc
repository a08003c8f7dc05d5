// SwiGLU, element by element over the flat activations.
#include "ops/swiglu.h"

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/swiglu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
void forward_as(T* out, const T* gate, const T* up, std::int64_t begin, std::int64_t end) {
  for_lanes(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto z = load(d, gate + i);
    store(d, hn::Mul(hn::Mul(z, sigmoid(d, z)), load(d, up + i)), out + i);
  });
}

template <typename T>
void backward_as(T* dgate, T* dup, const T* dout, const T* gate, const T* up, std::int64_t begin, std::int64_t end) {
  for_lanes(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto one = hn::Set(d, 1.0f);
    const auto z = load(d, gate + i), u = load(d, up + i), g = load(d, dout + i);
    const auto s = sigmoid(d, z);
    // silu'(z) = s (1 + z (1 - s))
    const auto slope = hn::Mul(s, hn::MulAdd(z, hn::Sub(one, s), one));
    store(d, hn::Mul(hn::Mul(g, u), slope), dgate + i);
    store(d, hn::Mul(g, hn::Mul(z, s)), dup + i);
  });
}

void swiglu_forward_range(const TensorView& out, const TensorView& gate, const TensorView& up, std::int64_t begin,
                          std::int64_t end) {
  if (out.dtype == DType::kF32) {
    forward_as(out.as<float>(), gate.as<float>(), up.as<float>(), begin, end);
  } else {
    forward_as(out.as<bf16>(), gate.as<bf16>(), up.as<bf16>(), begin, end);
  }
}

void swiglu_backward_range(const TensorView& dgate, const TensorView& dup, const TensorView& dout,
                           const TensorView& gate, const TensorView& up, std::int64_t begin, std::int64_t end) {
  if (dout.dtype == DType::kF32) {
    backward_as(dgate.as<float>(), dup.as<float>(), dout.as<float>(), gate.as<float>(), up.as<float>(), begin, end);
  } else {
    backward_as(dgate.as<bf16>(), dup.as<bf16>(), dout.as<bf16>(), gate.as<bf16>(), up.as<bf16>(), begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(swiglu_forward_range);
HWY_EXPORT(swiglu_backward_range);

void swiglu_forward(TensorView out, TensorView gate, TensorView up) {
  const OpTimer timer(OpFamily::kElementwise);
  require_activations("swiglu_forward", {out, gate, up});
  require_equal_size("swiglu_forward", {out, gate, up});
  parallel_ranges(out.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_forward_range)(out, gate, up, begin, end);
  });
}

void swiglu_backward(TensorView dgate, TensorView dup, TensorView dout, TensorView gate, TensorView up) {
  const OpTimer timer(OpFamily::kElementwise);
  require_activations("swiglu_backward", {dgate, dup, dout, gate, up});
  require_equal_size("swiglu_backward", {dgate, dup, dout, gate, up});
  parallel_ranges(dout.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(swiglu_backward_range)(dgate, dup, dout, gate, up, begin, end);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
