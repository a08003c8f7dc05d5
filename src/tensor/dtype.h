// Element types and the 16-bit floating-point conversions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace attune {

enum class DType : std::uint8_t { kF32, kBF16, kF16, kI8, kU8, kI32, kI64, kF64 };

std::size_t size_of(DType type);       // bytes per element
std::string_view name_of(DType type);  // "f32", "bf16", ...

// IEEE-like bfloat16 and half as storage; arithmetic happens in float.
struct bf16 {
  std::uint16_t bits;
};
struct f16 {
  std::uint16_t bits;
};

inline float to_float(bf16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

// Round to nearest, ties to even; NaN stays NaN (quiet).
inline bf16 to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16)};
}

float to_float(f16 x);
f16 to_f16(float x);  // round to nearest even, overflow to infinity

}  // namespace attune
