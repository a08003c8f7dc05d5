// Vectors of 32 bf16 in the orders that tiles read (ops/bf16_tile.h). For x86-64 with AVX-512; functions that use these
// carry ATTUNE_AVX512 themselves.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "quant/nf4.h"
#include "quant/weight.h"
#include "tensor/dtype.h"

#define ATTUNE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define ATTUNE_AVX512_INLINE ATTUNE_AVX512 __attribute__((always_inline)) inline

namespace attune {

// rows[r], 16 pairs of 16 bits each, become rows[p][r]: a 16 x 16 transposition of pairs.
ATTUNE_AVX512_INLINE void transpose_pairs(__m512i* rows) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  __m512i u[16];
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // u[4 g + j] has in its part q (128 bits) the column 4 q + j of rows 4 g .. 4 g + 3.
  for (int j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x44), b = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x44);
    const __m512i c = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xEE), d = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xEE);
    rows[j] = _mm512_shuffle_i32x4(a, b, 0x88);
    rows[4 + j] = _mm512_shuffle_i32x4(a, b, 0xDD);
    rows[8 + j] = _mm512_shuffle_i32x4(c, d, 0x88);
    rows[12 + j] = _mm512_shuffle_i32x4(c, d, 0xDD);
  }
}

// Elements of a and b side by side: those of a[0..15] and b[0..15] in `low`, the others in `high`.
ATTUNE_AVX512_INLINE void interleave(__m512i a, __m512i b, __m512i& low, __m512i& high) {
  const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  low = _mm512_permutex2var_epi16(a, first, b);
  high = _mm512_permutex2var_epi16(a, _mm512_add_epi16(first, _mm512_set1_epi16(16)), b);
}

// As nf4_scales, in two roundings.
inline float nf4_scale(const WeightMatrix& weight, std::int64_t block) {
  if (weight.absmax != nullptr) return weight.absmax[block];
  const float product = weight.nested_map[weight.absmax_codes[block]] * weight.nested_absmax[block / kNf4NestedBlock];
  return product + weight.nested_offset;
}

// 32 floats times `factor`, rounded to nearest even.
ATTUNE_AVX512_INLINE __m512i rounded(const float* from, __m512 factor) {
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(_mm512_loadu_ps(from + 16), factor),
                                      _mm512_mul_ps(_mm512_loadu_ps(from), factor));
}

// The first `count` (0 to 32) elements at `from`, then zeros.
ATTUNE_AVX512_INLINE __m512i first_elements(const bf16* from, std::int64_t count) {
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << count) - 1);
  return _mm512_maskz_loadu_epi16(mask, from);
}

}  // namespace attune
