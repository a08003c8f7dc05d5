// The 8-bit dynamic maps of bitsandbytes (Dettmers et al., "8-bit optimizers via block-wise quantization", 2021,
// arXiv:2110.02861): 256 values with seven decades of exponent. The signed one codes NF4's scales and the optimizer's first
// moment, the unsigned one, twice as fine, the second moment.
#pragma once

#include <array>
#include <cstdint>

namespace attune {

// Ascending, from -1 (unsigned: 0) to 1, with an exact 0.
const std::array<float, 256>& dynamic_map();
const std::array<float, 256>& unsigned_dynamic_map();

// The code of the nearest value of a map.
class DynamicMapEncoder {
 public:
  explicit DynamicMapEncoder(const std::array<float, 256>& map);
  std::uint8_t operator()(float x) const;

 private:
  std::array<float, 256> midpoints_;  // of neighbours; the last is infinite
};

}  // namespace attune
