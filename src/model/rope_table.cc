#include "model/rope_table.h"

#include <cmath>
#include <numbers>

namespace attune {
namespace {

float inverse_frequency(std::int64_t i, const ModelConfig& config) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(config.head_dim);
  const float plain = 1.0f / std::pow(static_cast<float>(config.rope_theta), exponent);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kNone) return plain;
  if (scaling.kind == RopeScaling::Kind::kLinear) return plain / static_cast<float>(scaling.factor);
  if (scaling.kind == RopeScaling::Kind::kFactors) return plain / scaling.factors[static_cast<std::size_t>(i)];
  // Llama 3: long wavelengths are stretched, short ones kept, those between interpolated.
  const double wavelength = 2 * std::numbers::pi / plain;
  const auto original = static_cast<double>(scaling.original_max_position);
  if (wavelength < original / scaling.high_freq_factor) return plain;
  if (wavelength > original / scaling.low_freq_factor) return static_cast<float>(plain / scaling.factor);
  const double smooth =
      (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1 - smooth) * plain / scaling.factor + smooth * plain);
}

}  // namespace

void fill_rope_table(TensorView cosines, TensorView sines, const ModelConfig& config) {
  const std::int64_t positions = cosines.rows(), half = config.head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float frequency = inverse_frequency(i, config);
    for (std::int64_t p = 0; p < positions; ++p) {
      const double angle = static_cast<float>(p) * frequency;
      cosines.as<float>()[p * half + i] = static_cast<float>(std::cos(angle));
      sines.as<float>()[p * half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace attune
