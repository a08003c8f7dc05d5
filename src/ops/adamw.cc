// AdamW over flat f32 arrays. The bias corrections are computed in f64 once per call, as torch does.
#include "ops/adamw.h"

#include <array>
#include <cmath>

#include "ops/check.h"
#include "ops/op_time.h"
#include "ops/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

namespace HWY_NAMESPACE {
namespace {

void adamw_range(float* parameter, const float* gradient, float* first, float* second, const AdamWFactors& f,
                 std::int64_t begin, std::int64_t end) {
  for_lanes(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto g = hn::Mul(load(d, gradient + i), hn::Set(d, f.gradient_scale));
    const auto m = hn::MulAdd(load(d, first + i), hn::Set(d, f.keep_first), hn::Mul(g, hn::Set(d, f.add_first)));
    const auto v =
        hn::MulAdd(load(d, second + i), hn::Set(d, f.keep_second), hn::Mul(hn::Mul(g, g), hn::Set(d, f.add_second)));
    const auto denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, f.root_correction), hn::Set(d, f.epsilon));
    const auto step = hn::Div(hn::Mul(m, hn::Set(d, f.step_size)), denominator);
    store(d, m, first + i);
    store(d, v, second + i);
    store(d, hn::MulSub(load(d, parameter + i), hn::Set(d, f.decay), step), parameter + i);
  });
}

double sum_of_squares_range(const float* x, std::int64_t begin, std::int64_t end) {
  // Exact products and f64 sums: eight side by side in source order of i mod 8, whatever the target's lanes.
  constexpr std::int64_t kSums = 8;
  double sums[kSums] = {};
  std::int64_t i = begin;
  for (; i + kSums <= end; i += kSums) {
    for (std::int64_t k = 0; k < kSums; ++k) {
      const double value = x[i + k];
      sums[k] += value * value;
    }
  }
  double total = 0.0;
  for (; i < end; ++i) total += static_cast<double>(x[i]) * x[i];
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(adamw_range);
HWY_EXPORT(sum_of_squares_range);

AdamWFactors adamw_factors(const AdamWParams& params) {
  require(params.step >= 1, "adamw_step", "step >= 1");
  const double beta1 = params.beta1, beta2 = params.beta2, rate = params.learning_rate;
  const auto step = static_cast<double>(params.step);
  AdamWFactors f;
  f.decay = static_cast<float>(1.0 - rate * params.weight_decay);
  f.keep_first = params.beta1;
  f.add_first = static_cast<float>(1.0 - beta1);
  f.keep_second = params.beta2;
  f.add_second = static_cast<float>(1.0 - beta2);
  f.step_size = static_cast<float>(rate / (1.0 - std::pow(beta1, step)));
  f.root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, step)));
  f.epsilon = params.epsilon;
  f.gradient_scale = params.gradient_scale;
  return f;
}

void adamw_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                const AdamWParams& params) {
  const OpTimer timer(OpFamily::kOptimizer);
  const char* where = "adamw_step";
  require_f32(where, {parameter, gradient, first_moment, second_moment});
  require_equal_size(where, {parameter, gradient, first_moment, second_moment});
  const AdamWFactors f = adamw_factors(params);
  parallel_ranges(parameter.elements(), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(adamw_range)
    (parameter.as<float>(), gradient.as<float>(), first_moment.as<float>(), second_moment.as<float>(), f, begin, end);
  });
}

double sum_of_squares(TensorView x) {
  const OpTimer timer(OpFamily::kOptimizer);
  require_f32("sum_of_squares", {x});
  constexpr std::int64_t kParts = 256;
  std::array<double, kParts> sums{};
  const std::int64_t grain = std::max(kElementGrain, (x.elements() + kParts - 1) / kParts);
  parallel_ranges(x.elements(), grain, [&](std::int64_t begin, std::int64_t end) {
    sums[static_cast<std::size_t>(begin / grain)] =
        HWY_DYNAMIC_DISPATCH(sum_of_squares_range)(x.as<float>(), begin, end);
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace attune
#endif  // HWY_ONCE
