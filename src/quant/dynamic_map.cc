#include "quant/dynamic_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attune {
namespace {

std::array<float, 256> make_map(bool with_signs) {
  std::array<float, 256> values{};
  std::size_t used = 0;
  for (int exponent = 0; exponent < 7; ++exponent) {
    // 2^e + 1 points evenly from 0.1 to 1 (twice as many steps without signs); the map holds the midpoints, scaled by a
    // power of ten. Rounded as torch.linspace does it on the CPU: fused, from the nearer end.
    const int steps = 1 << (with_signs ? exponent : exponent + 1);
    const float step = (1.0f - 0.1f) / static_cast<float>(steps);
    const auto point = [&](int i) {
      const int half = (steps + 1) / 2;
      return i < half ? std::fma(step, static_cast<float>(i), 0.1f)
                      : std::fma(-step, static_cast<float>(steps - i), 1.0f);
    };
    const auto scale = static_cast<float>(std::pow(10.0, exponent - 6));
    for (int i = 0; i < steps; ++i) {
      const float value = scale * ((point(i) + point(i + 1)) / 2.0f);
      values[used++] = value;
      if (with_signs) values[used++] = -value;
    }
  }
  values[used++] = 0.0f;
  values[used++] = 1.0f;
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_map(true);
  return map;
}

const std::array<float, 256>& unsigned_dynamic_map() {
  static const std::array<float, 256> map = make_map(false);
  return map;
}

DynamicMapEncoder::DynamicMapEncoder(const std::array<float, 256>& map) {
  for (std::size_t i = 0; i + 1 < map.size(); ++i) midpoints_[i] = (map[i] + map[i + 1]) / 2;
  midpoints_.back() = std::numeric_limits<float>::infinity();
}

std::uint8_t DynamicMapEncoder::operator()(float x) const {
  unsigned code = 0;  // midpoints below x: a search without branches
  for (unsigned step = 128; step > 0; step /= 2) code += midpoints_[code + step - 1] < x ? step : 0;
  return static_cast<std::uint8_t>(code);
}

}  // namespace attune
