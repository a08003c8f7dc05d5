// What the tests of ops share: random tensors at awkward addresses, the loop over Highway targets and thread
// counts, and the comparison with a bound made of machine epsilons.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "ops/bf16_tile.h"
#include "ops/reference.h"
#include "tensor/tensor.h"

namespace attune {

using reference::Doubles;
using reference::Ints;

inline Doubles random_normal(std::size_t count, std::uint64_t stream, double scale = 1.0) {
  Rng rng{.seed = 20, .stream = stream};
  Doubles values(count);
  for (double& value : values) value = scale * rng.normal();
  return values;
}

// Owns a tensor that starts `offset` elements after an aligned address, so that no vector in it is aligned.
class Stored {
 public:
  Stored(DType type, Shape shape, const Doubles& values, std::size_t offset = 1) : type_(type), shape_(shape) {
    bytes_.resize((static_cast<std::size_t>(shape.elements()) + offset) * size_of(type) + 64);
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    start_ = bytes_.data() + (64 - address % 64) + offset * size_of(type);
    bytes_.shrink_to_fit();
    for (std::size_t i = 0; i < values.size(); ++i) set(i, values[i]);
  }
  // Filled with sevens, which an op that overwrites must not leave behind.
  Stored(DType type, Shape shape) : Stored(type, shape, Doubles(static_cast<std::size_t>(shape.elements()), 7.0)) {}
  Stored(const Stored&) = delete;

  TensorView view() {
    TensorView view;
    view.data = start_;
    view.dtype = type_;
    view.shape = shape_;
    return view;
  }
  Doubles values() const {
    Doubles values(static_cast<std::size_t>(shape_.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = get(i);
    return values;
  }
  std::string bits() const {
    return {reinterpret_cast<const char*>(start_), static_cast<std::size_t>(shape_.elements()) * size_of(type_)};
  }

 private:
  void set(std::size_t i, double value) {
    const auto f = static_cast<float>(value);
    if (type_ == DType::kF32) reinterpret_cast<float*>(start_)[i] = f;
    if (type_ == DType::kBF16) reinterpret_cast<bf16*>(start_)[i] = to_bf16(f);
    if (type_ == DType::kF16) reinterpret_cast<f16*>(start_)[i] = to_f16(f);
    if (type_ == DType::kI32) reinterpret_cast<std::int32_t*>(start_)[i] = static_cast<std::int32_t>(value);
  }
  double get(std::size_t i) const {
    if (type_ == DType::kBF16) return to_float(reinterpret_cast<const bf16*>(start_)[i]);
    if (type_ == DType::kF16) return to_float(reinterpret_cast<const f16*>(start_)[i]);
    if (type_ == DType::kI32) return reinterpret_cast<const std::int32_t*>(start_)[i];
    return reinterpret_cast<const float*>(start_)[i];
  }
  DType type_;
  Shape shape_;
  std::vector<std::byte> bytes_;
  std::byte* start_;
};

inline Doubles to_doubles(const Ints& values) { return {values.begin(), values.end()}; }

inline double largest(const Doubles& values) {
  double result = 0.0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

// |got - want| <= (rounding of the stored type) |want| + c eps32 norm, element by element. `c` counts the
// roundings of the f32 computation (a sum of n terms contributes sqrt(n)); `norm` is the size of what was
// rounded.
inline void expect_near(const Doubles& got, const Doubles& want, DType type, double c, double norm,
                        const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  const double eps = 0x1.0p-24, storage = type == DType::kBF16 ? 0x1.0p-8 : eps;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - want[i]), storage * std::abs(want[i]) + c * eps * norm)
        << what << ", element " << i << " of " << got.size() << ": got " << got[i] << ", want " << want[i];
  }
}

// Runs body() with each kind of bf16 tiles that this processor multiplies, and says which it lacks.
template <typename Body>
void for_each_bf16_tiles(const Body& body) {
  for (const auto& [tiles, name] : {std::pair{Bf16Tiles::kAvx512, "AVX512-BF16"}, std::pair{Bf16Tiles::kAmx, "AMX"}}) {
    limit_bf16_tiles(tiles);
    if (bf16_tiles() == tiles) {
      SCOPED_TRACE(name);
      body();
    } else {
      std::printf("skipped: this processor multiplies no tiles of bf16 by %s\n", name);
    }
  }
  limit_bf16_tiles(Bf16Tiles::kAmx);
}

// Runs body() once per Highway target that this processor has.
template <typename Body>
void for_each_target(const Body& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

// And with either type of activations.
template <typename Body>
void for_each_target_and_type(const Body& body) {
  for_each_target([&] {
    for (const DType type : {DType::kF32, DType::kBF16}) {
      SCOPED_TRACE(std::string(name_of(type)));
      body(type);
    }
  });
}

// body() returns bits; they must be equal with one, two and three threads.
template <typename Body>
void expect_independent_of_threads(const Body& body) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::string one = body();
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_TRUE(body() == one) << threads << " threads";
  }
  omp_set_num_threads(before);
}

// Checks `gradient` of sum(weights * forward(input)) in every element by a complex step, in f64.
template <typename Forward>
void expect_complex_step(const Doubles& input, const Doubles& gradient, const Doubles& weights, const Forward& forward,
                         const std::string& what) {
  constexpr double kStep = 1e-50;
  std::vector<std::complex<double>> perturbed(input.begin(), input.end());
  ASSERT_EQ(gradient.size(), input.size());
  const double norm = std::max(1.0, largest(gradient));
  for (std::size_t i = 0; i < input.size(); ++i) {
    perturbed[i] = {input[i], kStep};
    const auto out = forward(perturbed);
    perturbed[i] = input[i];
    ASSERT_EQ(out.size(), weights.size());
    double derivative = 0.0;
    for (std::size_t o = 0; o < out.size(); ++o) derivative += weights[o] * out[o].imag() / kStep;
    ASSERT_NEAR(derivative, gradient[i], 1e-13 * norm * std::sqrt(static_cast<double>(out.size())))
        << what << ", element " << i;
  }
}

inline std::vector<std::complex<double>> to_complex(const Doubles& values) { return {values.begin(), values.end()}; }

}  // namespace attune
