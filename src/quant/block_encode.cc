// Q8_0, Q4_0 and Q5_0: 32 values, one scale. The inverse of the scale is taken before the scale is rounded to 16 bits,
// as ggml takes it: the codes depend on it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/block_kernels.h"

namespace attune {
namespace {

void put_half(std::uint8_t* out, float value) {
  const f16 half = to_f16(value);
  std::memcpy(out, &half.bits, sizeof half.bits);
}

// The first value of largest magnitude, with its sign.
float extreme(const float* values) {
  float best = 0.0f;
  for (std::int64_t i = 0; i < kSmallBlock; ++i) {
    if (std::fabs(values[i]) > std::fabs(best)) best = values[i];
  }
  return best;
}

// Codes 0 .. 2 half - 1 stand for -half .. half - 1; the extreme value is -half exactly.
struct Centred {
  float scale, inverse, half;

  Centred(const float* values, float half_range)
      : scale(extreme(values) / -half_range), inverse(scale != 0.0f ? 1.0f / scale : 0.0f), half(half_range) {}
  std::uint8_t code(float value) const {
    const auto rounded = static_cast<int>(value * inverse + (half + 0.5f));
    return static_cast<std::uint8_t>(std::min(rounded, static_cast<int>(2 * half) - 1));
  }
};

}  // namespace

void encode_q8_0(std::uint8_t* blocks, const float* values, std::int64_t count) {
  for (std::int64_t b = 0; b < count; ++b, blocks += kQ8_0Bytes, values += kSmallBlock) {
    const float scale = std::fabs(extreme(values)) / 127.0f, inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    put_half(blocks, scale);
    for (std::int64_t i = 0; i < kSmallBlock; ++i) {
      blocks[2 + i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::round(values[i] * inverse)));
    }
  }
}

// Byte i: element i in the low four bits, element i + 16 in the high four.
void encode_q4_0(std::uint8_t* blocks, const float* values, std::int64_t count) {
  for (std::int64_t b = 0; b < count; ++b, blocks += kQ4_0Bytes, values += kSmallBlock) {
    const Centred centred(values, 8.0f);
    put_half(blocks, centred.scale);
    for (std::int64_t i = 0; i < kSmallBlock / 2; ++i) {
      const int low = centred.code(values[i]), high = centred.code(values[i + kSmallBlock / 2]);
      blocks[2 + i] = static_cast<std::uint8_t>(low | high << 4);
    }
  }
}

// The same with a fifth bit each, bit i of a 32-bit word for element i.
void encode_q5_0(std::uint8_t* blocks, const float* values, std::int64_t count) {
  for (std::int64_t b = 0; b < count; ++b, blocks += kQ5_0Bytes, values += kSmallBlock) {
    const Centred centred(values, 16.0f);
    put_half(blocks, centred.scale);
    std::uint32_t fifth = 0;
    for (std::int64_t i = 0; i < kSmallBlock / 2; ++i) {
      const unsigned low = centred.code(values[i]), high = centred.code(values[i + kSmallBlock / 2]);
      blocks[6 + i] = static_cast<std::uint8_t>((low & 15) | (high & 15) << 4);
      fifth |= (low >> 4) << i | (high >> 4) << (i + kSmallBlock / 2);
    }
    std::memcpy(blocks + 2, &fifth, sizeof fifth);
  }
}

}  // namespace attune
