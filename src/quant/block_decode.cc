// Expanding ggml's blocks. Plain loops of fixed length, compiled for every instruction set: the compiler vectorizes them.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "quant/block_kernels.h"
#include "quant/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/block_decode.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attune::HWY_NAMESPACE {

HWY_INLINE float Half(const std::uint8_t* bytes) {
  f16 half;
  std::memcpy(&half.bits, bytes, sizeof half.bits);
  const std::uint32_t exponent = half.bits >> 10 & 31;
  if (exponent == 0 || exponent == 31) return to_float(half);
  const std::uint32_t sign = (half.bits & 0x8000u) << 16, magnitude = (half.bits & 0x7FFFu) << 13;
  return std::bit_cast<float>(sign | (magnitude + (112u << 23)));
}

HWY_INLINE void Put(float* out, float value) { *out = value; }
HWY_INLINE void Put(bf16* out, float value) {  // blocks that are no numbers at all may round to an infinity here
  const auto bits = std::bit_cast<std::uint32_t>(value);
  out->bits = static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

// out = scale * code - minimum for kCount codes.
template <int kCount, typename Out, typename Code>
HWY_INLINE void Scale(Out* HWY_RESTRICT out, const Code* HWY_RESTRICT codes, float scale) {
  for (int i = 0; i < kCount; ++i) Put(out + i, scale * static_cast<float>(codes[i]));
}
template <int kCount, typename Out>
HWY_INLINE void ScaleAndShift(Out* HWY_RESTRICT out, const std::uint8_t* HWY_RESTRICT codes, float scale,
                              float minimum) {
  for (int i = 0; i < kCount; ++i) Put(out + i, scale * static_cast<float>(codes[i]) - minimum);
}

template <typename Out>
void DecodeQ8_0(Out* out, const std::uint8_t* block) {
  Scale<32>(out, reinterpret_cast<const std::int8_t*>(block + 2), Half(block));
}

template <typename Out>
void DecodeQ4_0(Out* out, const std::uint8_t* block) {
  std::int8_t codes[32];
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<std::int8_t>((block[2 + i] & 15) - 8);
    codes[i + 16] = static_cast<std::int8_t>((block[2 + i] >> 4) - 8);
  }
  Scale<32>(out, codes, Half(block));
}

template <typename Out>
void DecodeQ5_0(Out* out, const std::uint8_t* block) {
  std::uint32_t fifth;
  std::memcpy(&fifth, block + 2, sizeof fifth);
  std::int8_t codes[32];
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<std::int8_t>(((block[6 + i] & 15) | (fifth >> i & 1) << 4) - 16);
    codes[i + 16] = static_cast<std::int8_t>((block[6 + i] >> 4 | (fifth >> (i + 16) & 1) << 4) - 16);
  }
  Scale<32>(out, codes, Half(block));
}

// Scale and minimum of sub-block j of Q4_K and Q5_K.
template <typename Out>
HWY_INLINE void ExpandAffine(Out* out, const std::uint8_t* block, const std::uint8_t* codes) {
  const float unit = Half(block), minimum_unit = Half(block + 2);
  const std::uint8_t* const packed = block + 4;
  for (int j = 0; j < 8; ++j) {
    const int scale = j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    const int minimum = j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | (packed[j] >> 6) << 4;
    ScaleAndShift<32>(out + j * 32, codes + j * 32, unit * static_cast<float>(scale),
                      minimum_unit * static_cast<float>(minimum));
  }
}

HWY_INLINE void UnpackNibbles(std::uint8_t* HWY_RESTRICT codes, const std::uint8_t* HWY_RESTRICT packed) {
  for (int group = 0; group < 4; ++group) {
    for (int i = 0; i < 32; ++i) {
      codes[group * 64 + i] = packed[group * 32 + i] & 15;
      codes[group * 64 + 32 + i] = packed[group * 32 + i] >> 4;
    }
  }
}

template <typename Out>
void DecodeQ4K(Out* out, const std::uint8_t* block) {
  std::uint8_t codes[kSuperBlock];
  UnpackNibbles(codes, block + 16);
  ExpandAffine(out, block, codes);
}

template <typename Out>
void DecodeQ5K(Out* out, const std::uint8_t* block) {
  std::uint8_t codes[kSuperBlock];
  UnpackNibbles(codes, block + 48);
  for (int group = 0; group < 8; ++group) {
    for (int i = 0; i < 32; ++i) {
      codes[group * 32 + i] = static_cast<std::uint8_t>(codes[group * 32 + i] | (block[16 + i] >> group & 1) << 4);
    }
  }
  ExpandAffine(out, block, codes);
}

template <typename Out>
void DecodeQ6K(Out* out, const std::uint8_t* block) {
  const float unit = Half(block + 208);
  std::int8_t codes[kSuperBlock];
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t *const low = block + half * 64, *const high = block + 128 + half * 32;
    for (int i = 0; i < 32; ++i) {
      std::int8_t* const to = codes + half * 128 + i;
      to[0] = static_cast<std::int8_t>(((low[i] & 15) | (high[i] & 3) << 4) - 32);
      to[32] = static_cast<std::int8_t>(((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4) - 32);
      to[64] = static_cast<std::int8_t>((low[i] >> 4 | (high[i] >> 4 & 3) << 4) - 32);
      to[96] = static_cast<std::int8_t>((low[i + 32] >> 4 | (high[i] >> 6) << 4) - 32);
    }
  }
  for (int j = 0; j < 16; ++j) {
    const auto scale = static_cast<float>(static_cast<std::int8_t>(block[192 + j]));
    Scale<16>(out + j * 16, codes + j * 16, unit * scale);
  }
}

template <std::int64_t kElements, std::int64_t kBytes, typename Out>
HWY_INLINE void Each(Out* out, const std::uint8_t* blocks, std::int64_t count,
                     void (*decode)(Out*, const std::uint8_t*)) {
  for (std::int64_t b = 0; b < count; ++b) decode(out + b * kElements, blocks + b * kBytes);
}

template <typename Out>
void Decode(Out* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count) {
  switch (format) {
    case WeightFormat::kQ8_0:
      return Each<kSmallBlock, kQ8_0Bytes>(out, blocks, count, DecodeQ8_0<Out>);
    case WeightFormat::kQ4_0:
      return Each<kSmallBlock, kQ4_0Bytes>(out, blocks, count, DecodeQ4_0<Out>);
    case WeightFormat::kQ5_0:
      return Each<kSmallBlock, kQ5_0Bytes>(out, blocks, count, DecodeQ5_0<Out>);
    case WeightFormat::kQ4K:
      return Each<kSuperBlock, kQ4KBytes>(out, blocks, count, DecodeQ4K<Out>);
    case WeightFormat::kQ5K:
      return Each<kSuperBlock, kQ5KBytes>(out, blocks, count, DecodeQ5K<Out>);
    case WeightFormat::kQ6K:
      return Each<kSuperBlock, kQ6KBytes>(out, blocks, count, DecodeQ6K<Out>);
    default:
      throw InternalError("[quant] {} has no blocks", name_of(format));
  }
}

void DecodeToFloat(float* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count) {
  Decode(out, format, blocks, count);
}
void DecodeToBf16(bf16* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count) {
  Decode(out, format, blocks, count);
}

}  // namespace attune::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(DecodeToFloat);
HWY_EXPORT(DecodeToBf16);

void decode_blocks(float* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(DecodeToFloat)(out, format, blocks, count);
}
void decode_blocks(bf16* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(DecodeToBf16)(out, format, blocks, count);
}

}  // namespace attune
#endif
