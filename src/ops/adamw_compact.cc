#include "ops/adamw_compact.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/rng.h"
#include "ops/check.h"
#include "ops/parallel.h"
#include "quant/dynamic_map.h"

namespace attune {
namespace {

using Block = std::array<float, kMomentBlock>;

void update(float* parameter, const float* gradient, float* first, float* second, std::int64_t count,
            const AdamWFactors& f) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * f.gradient_scale;
    first[i] = first[i] * f.keep_first + g * f.add_first;
    second[i] = second[i] * f.keep_second + g * g * f.add_second;
    parameter[i] =
        parameter[i] * f.decay - first[i] * f.step_size / (std::sqrt(second[i]) * f.root_correction + f.epsilon);
  }
}

// Up or down: the 16 bits that bf16 drops are compared with 16 random ones by adding those.
bf16 round_stochastic(float x, std::uint32_t random) {
  return {static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(x) + (random & 0xFFFF)) >> 16)};
}

struct Coder {
  const std::array<float, 256>& map;
  DynamicMapEncoder encoder;
  std::uint8_t least;  // code of the smallest value above zero, or 0: values may become zero

  void decode(float* out, const std::uint8_t* codes, float scale, std::int64_t count) const {
    if (scale == 0) {
      std::fill_n(out, count, 0.0f);
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) out[i] = map[codes[i]] * scale;
  }
  float encode(std::uint8_t* codes, const float* values, std::int64_t count) const {
    float scale = 0;
    for (std::int64_t i = 0; i < count; ++i) scale = std::max(scale, std::abs(values[i]));
    const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
    if (!std::isfinite(inverse)) {  // so small that it has no reciprocal
      std::fill_n(codes, count, encoder(0.0f));
      return 0;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      codes[i] = encoder(values[i] * inverse);
      if (values[i] > 0) codes[i] = std::max(codes[i], least);
    }
    return scale;
  }
};

template <typename Body>
void for_moment_blocks(std::int64_t elements, const Body& body) {
  constexpr std::int64_t kGrain = 64;
  parallel_ranges(moment_blocks(elements), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kMomentBlock;
      body(block, first, std::min(kMomentBlock, elements - first));
    }
  });
}

}  // namespace

void adamw_bf16_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                     const AdamWParams& params, NoiseKey key) {
  const char* where = "adamw_bf16_step";
  require_f32(where, {parameter, gradient});
  require_equal_size(where, {parameter, gradient, first_moment, second_moment});
  const AdamWFactors factors = adamw_factors(params);
  for_moment_blocks(parameter.elements(), [&](std::int64_t, std::int64_t begin, std::int64_t count) {
    bf16* const m = first_moment.as<bf16>() + begin;
    bf16* const v = second_moment.as<bf16>() + begin;
    Block first, second;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      first[at] = to_float(m[i]);
      second[at] = to_float(v[i]);
    }
    update(parameter.as<float>() + begin, gradient.as<float>() + begin, first.data(), second.data(), count, factors);
    for (std::int64_t i = 0; i < count; i += 4) {
      const auto words = philox(key.seed, key.stream, static_cast<std::uint64_t>(begin + i) / 4);
      for (std::int64_t j = i; j < std::min(i + 4, count); ++j) {
        const std::uint32_t word = words[static_cast<std::size_t>(j - i)];
        m[j] = round_stochastic(first[static_cast<std::size_t>(j)], word);
        v[j] = round_stochastic(second[static_cast<std::size_t>(j)], word >> 16);
      }
    }
  });
}

void adamw_8bit_step(TensorView parameter, TensorView gradient, TensorView first_moment, TensorView second_moment,
                     TensorView first_scales, TensorView second_scales, const AdamWParams& params) {
  const char* where = "adamw_8bit_step";
  require_f32(where, {parameter, gradient, first_scales, second_scales});
  require_equal_size(where, {parameter, gradient, first_moment, second_moment});
  const std::int64_t blocks = moment_blocks(parameter.elements());
  require(first_scales.elements() == blocks && second_scales.elements() == blocks, where, "one scale per block");
  static const Coder signed_coder{dynamic_map(), DynamicMapEncoder(dynamic_map()), 0};
  static const Coder unsigned_coder{unsigned_dynamic_map(), DynamicMapEncoder(unsigned_dynamic_map()), 1};
  const AdamWFactors factors = adamw_factors(params);
  for_moment_blocks(parameter.elements(), [&](std::int64_t block, std::int64_t begin, std::int64_t count) {
    std::uint8_t* const m = first_moment.as<std::uint8_t>() + begin;
    std::uint8_t* const v = second_moment.as<std::uint8_t>() + begin;
    float& m_scale = first_scales.as<float>()[block];
    float& v_scale = second_scales.as<float>()[block];
    Block first, second;
    signed_coder.decode(first.data(), m, m_scale, count);
    unsigned_coder.decode(second.data(), v, v_scale, count);
    update(parameter.as<float>() + begin, gradient.as<float>() + begin, first.data(), second.data(), count, factors);
    m_scale = signed_coder.encode(m, first.data(), count);
    v_scale = unsigned_coder.encode(v, second.data(), count);
  });
}

}  // namespace attune
