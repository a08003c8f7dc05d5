// Rotary embedding in place; the backward pass turns by the negative angle.
#include "ops/rope.h"

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

template <typename T>
void turn_as(T* x, const std::int32_t* positions, const float* cosines, const float* sines, float direction,
             std::int64_t heads, std::int64_t half, std::int64_t begin, std::int64_t end) {
  for (std::int64_t token = begin; token < end; ++token) {
    const float* cos_row = cosines + positions[token] * half;
    const float* sin_row = sines + positions[token] * half;
    for (std::int64_t head = 0; head < heads; ++head) {
      T* first = x + (token * heads + head) * 2 * half;
      T* second = first + half;
      for_lanes(0, half, [&](auto d, std::int64_t i) HWY_ATTR {
        const auto a = load(d, first + i), b = load(d, second + i);
        const auto c = load(d, cos_row + i), s = hn::Mul(load(d, sin_row + i), hn::Set(d, direction));
        store(d, hn::NegMulAdd(b, s, hn::Mul(a, c)), first + i);
        store(d, hn::MulAdd(a, s, hn::Mul(b, c)), second + i);
      });
    }
  }
}

void rope_turn_tokens(const TensorView& x, const std::int32_t* positions, const float* cosines, const float* sines,
                      float direction, std::int64_t begin, std::int64_t end) {
  const std::int64_t heads = x.shape[1], half = x.shape[2] / 2;
  if (x.dtype == DType::kF32) {
    turn_as(x.as<float>(), positions, cosines, sines, direction, heads, half, begin, end);
  } else {
    turn_as(x.as<bf16>(), positions, cosines, sines, direction, heads, half, begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(rope_turn_tokens);

namespace {

void turn(const char* where, TensorView x, TensorView positions, TensorView cosines, TensorView sines,
          float direction) {
  const OpTimer timer(OpFamily::kElementwise);
  require_activations(where, {x});
  require_f32(where, {cosines, sines});
  require(x.shape.rank == 3 && x.shape[2] % 2 == 0, where, "x [N, heads, D] with D even");
  require(positions.dtype == DType::kI32 && positions.elements() == x.shape[0], where, "positions [N] i32");
  require(cosines.shape == sines.shape && cosines.columns() == x.shape[2] / 2, where, "tables [max_position, D/2]");
  if (x.elements() == 0) return;
  parallel_ranges(x.shape[0], row_grain(x.columns()), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(rope_turn_tokens)
    (x, positions.as<std::int32_t>(), cosines.as<float>(), sines.as<float>(), direction, begin, end);
  });
}

}  // namespace

void rope_forward(TensorView x, TensorView positions, TensorView cosines, TensorView sines) {
  turn("rope_forward", x, positions, cosines, sines, 1.0f);
}

void rope_backward(TensorView dx, TensorView positions, TensorView cosines, TensorView sines) {
  turn("rope_backward", dx, positions, cosines, sines, -1.0f);
}

}  // namespace attune
#endif  // HWY_ONCE
