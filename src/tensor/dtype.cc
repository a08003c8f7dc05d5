#include "tensor/dtype.h"

#include <array>

namespace attune {

std::size_t size_of(DType type) {
  static constexpr std::array<std::size_t, 8> kSizes = {4, 2, 2, 1, 1, 4, 8, 8};
  return kSizes[static_cast<std::size_t>(type)];
}

std::string_view name_of(DType type) {
  static constexpr std::array<std::string_view, 8> kNames = {"f32", "bf16", "f16", "i8", "u8", "i32", "i64", "f64"};
  return kNames[static_cast<std::size_t>(type)];
}

float to_float(f16 x) {
  const std::uint32_t sign = std::uint32_t{x.bits & 0x8000u} << 16;
  const std::uint32_t exponent = x.bits >> 10 & 0x1F, mantissa = x.bits & 0x3FF;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact in float
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | mantissa << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

f16 to_f16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  const auto with_sign = [&](std::uint32_t half) { return f16{static_cast<std::uint16_t>(sign | half)}; };
  if (magnitude > 0x7F800000) return with_sign(0x7E00);   // NaN
  if (magnitude >= 0x477FF000) return with_sign(0x7C00);  // rounds to 65536 or above
  if (magnitude < 0x38800000) {                           // subnormal half: adding 0.5 aligns and rounds the mantissa
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return with_sign(std::bit_cast<std::uint32_t>(aligned) - 0x3F000000);
  }
  return with_sign((magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13);
}

}  // namespace attune
