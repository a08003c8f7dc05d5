#include "ops/tile_codes.h"

#include <algorithm>

#include "base/error.h"
#include "ops/bf16_tile.h"
#include "quant/nf4.h"

#if defined(__x86_64__)
#include "ops/bf16_pack-inl.h"
#endif

namespace attune {

std::int64_t packed_codes(std::int64_t count) {
  return code_steps(count) * kCodeStep * kBf16Tile + kBf16Tile * static_cast<std::int64_t>(sizeof(float));
}

#if defined(__x86_64__)

// Byte shuffles across a whole vector, which every processor with these tiles has.
#define ATTUNE_VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vbmi")))
#define ATTUNE_VBMI_INLINE ATTUNE_VBMI __attribute__((always_inline)) inline

namespace {

constexpr std::int64_t kHalf = 16 * kCodeStep, kStep = 2 * kHalf;  // bytes

// ---- Rows of activations.

// Sixteen values, those that `mask` names, times their factors; the others are zeros.
ATTUNE_VBMI_INLINE __m512 values_of(const bf16* from, const float* factors, __mmask16 mask) {
  const __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
  const auto values = (__m512)_mm512_slli_epi32(bits, 16);
  return factors == nullptr ? values : _mm512_mul_ps(values, _mm512_maskz_loadu_ps(mask, factors));
}

// Which of sixteen are there, of `count`.
inline __mmask16 mask_of(std::int64_t count) {
  return static_cast<__mmask16>((1u << std::clamp<std::int64_t>(count, 0, 16)) - 1);
}

// The largest magnitude. By their bits, in whose order what is no number is the largest.
template <bool kFactors>
ATTUNE_VBMI_INLINE float largest_of(const bf16* from, const float* factors, std::int64_t count) {
  __m512i most = _mm512_setzero_si512();
  if constexpr (kFactors) {
    for (std::int64_t i = 0; i < count; i += 16) {
      const __m512 values = values_of(from + i, factors + i, mask_of(count - i));
      most = _mm512_max_epu32(most, (__m512i)_mm512_abs_ps(values));
    }
  } else {
    const __m512i magnitude = _mm512_set1_epi16(0x7FFF);
    __m512i most_bits = _mm512_setzero_si512();
    for (std::int64_t i = 0; i < count; i += 32) {
      const __m512i bits = first_elements(from + i, std::min<std::int64_t>(32, count - i));
      most_bits = _mm512_max_epu16(most_bits, _mm512_and_si512(bits, magnitude));
    }
    most = _mm512_max_epu32(_mm512_slli_epi32(most_bits, 16), _mm512_and_si512(most_bits, _mm512_set1_epi32(-65536)));
  }
  return _mm_cvtss_f32((__m128)_mm_cvtsi32_si128(static_cast<int>(_mm512_reduce_max_epu32(most))));
}

ATTUNE_VBMI_INLINE __m512i rounded_codes(__m512 values, __m512 factor) {
  return _mm512_cvtps_epi32(_mm512_mul_ps(values, factor));
}

// Four times sixteen codes as bytes.
ATTUNE_VBMI_INLINE __m512i packed_bytes(const __m512i* codes) {
  const __m512i parts =
      _mm512_packs_epi16(_mm512_packs_epi32(codes[0], codes[1]), _mm512_packs_epi32(codes[2], codes[3]));
  return _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0), parts);
}

// The next 64 values, of which `count` are there, as codes.
ATTUNE_VBMI_INLINE __m512i codes_of(const bf16* from, const float* factors, std::int64_t count, __m512 factor) {
  __m512i codes[4];
  for (std::int64_t i = 0; i < 4; ++i) {
    const __mmask16 mask = count >= kCodeStep ? static_cast<__mmask16>(0xFFFF) : mask_of(count - 16 * i);
    codes[i] = rounded_codes(values_of(from + 16 * i, factors == nullptr ? nullptr : factors + 16 * i, mask), factor);
  }
  return packed_bytes(codes);
}

template <bool kFactors>
ATTUNE_VBMI void pack_row(std::int8_t* line, float* scale, const bf16* from, const float* factors, std::int64_t count) {
  const float most = largest_of<kFactors>(from, factors, count);
  *scale = most / static_cast<float>(kCodeLevels);
  const __m512 factor = _mm512_set1_ps(most > 0.0f ? static_cast<float>(kCodeLevels) / most : 0.0f);
  for (std::int64_t i = 0; i < count; i += kCodeStep, line += kStep) {
    _mm512_store_si512(line, codes_of(from + i, kFactors ? factors + i : nullptr, count - i, factor));
  }
}

// ---- Stored rows of the weight. Reader(b, scales, row, column) stands at a code of a row, a multiple of 32; next_64() and
// next_32() give the next ones, of which `count` are there, and zeros.

struct Int8CodeReader {
  const std::int8_t* at;

  ATTUNE_VBMI_INLINE void start(const RightOperand& b, const float* /*scales*/, std::int64_t row, std::int64_t column) {
    at = static_cast<const std::int8_t*>(b.weight.data) + row * b.weight.columns + column;
  }
  ATTUNE_VBMI_INLINE __m512i next_64(std::int64_t count) {
    const __m512i codes = _mm512_maskz_loadu_epi8(~std::uint64_t{0} >> (kCodeStep - count), at);
    at += kCodeStep;
    return codes;
  }
  ATTUNE_VBMI_INLINE __m256i next_32(std::int64_t count) {
    const __m256i codes = _mm256_maskz_loadu_epi8(~std::uint32_t{0} >> (kBf16Tile - count), at);
    at += kBf16Tile;
    return codes;
  }
};

struct Bf16CodeReader {
  const bf16* at;
  std::int64_t ahead;  // to the row that is asked for meanwhile
  __m512 factor;

  ATTUNE_VBMI_INLINE void start(const RightOperand& b, const float* scales, std::int64_t row, std::int64_t column) {
    at = static_cast<const bf16*>(b.weight.data) + row * b.weight.columns + column;
    constexpr std::int64_t kRowsAhead = 16;
    ahead = kRowsAhead * b.weight.columns;
    factor = _mm512_set1_ps(scales[row] > 0.0f ? 1.0f / scales[row] : 0.0f);
  }
  ATTUNE_VBMI_INLINE __m512i next_64(std::int64_t count) {
    __builtin_prefetch(at + ahead);
    const __m512i codes = codes_of(at, nullptr, count, factor);
    at += kCodeStep;
    return codes;
  }
  ATTUNE_VBMI_INLINE __m256i next_32(std::int64_t count) {
    __builtin_prefetch(at + ahead);
    __m512i codes[4] = {};
    for (std::int64_t i = 0; i < 2; ++i) {
      codes[i] = rounded_codes(values_of(at + 16 * i, nullptr, mask_of(count - 16 * i)), factor);
    }
    at += kBf16Tile;
    return _mm512_castsi512_si256(packed_bytes(codes));
  }
};

// Any format, by way of f32.
struct AnyCodeReader {
  const RightOperand* b;
  std::int64_t row, column;
  __m512 factor;

  ATTUNE_VBMI_INLINE void start(const RightOperand& from, const float* scales, std::int64_t stored_row,
                                std::int64_t stored_column) {
    b = &from;
    row = stored_row;
    column = stored_column;
    factor = _mm512_set1_ps(scales[row] > 0.0f ? 1.0f / scales[row] : 0.0f);
  }
  ATTUNE_VBMI_INLINE __m512i next_64(std::int64_t count) {
    alignas(64) float values[kCodeStep] = {};
    decode_span(values, b->weight, row, column, count);
    column += count;
    __m512i codes[4];
    for (std::int64_t i = 0; i < 4; ++i) codes[i] = rounded_codes(_mm512_load_ps(values + 16 * i), factor);
    return packed_bytes(codes);
  }
  ATTUNE_VBMI_INLINE __m256i next_32(std::int64_t count) { return _mm512_castsi512_si256(next_64(count)); }
};

// Rows of whole NF4 blocks. A block's sixteen values, scaled and rounded, are one shuffle's table.
struct Nf4CodeReader {
  const WeightMatrix* weight;
  const std::uint8_t* at;
  std::int64_t block, ahead;  // the bytes to the row that is asked for meanwhile
  bool within_block;
  float factor;
  __m128i table;

  ATTUNE_VBMI_INLINE void start(const RightOperand& b, const float* scales, std::int64_t row, std::int64_t column) {
    weight = &b.weight;
    const std::int64_t element = row * weight->columns + column;
    at = static_cast<const std::uint8_t*>(weight->data) + element / 2;
    constexpr std::int64_t kRowsAhead = 16;
    ahead = kRowsAhead * weight->columns / 2;
    block = element / kNf4Block;
    factor = scales[row] > 0.0f ? 1.0f / scales[row] : 0.0f;
    within_block = column % kNf4Block != 0;
    if (within_block) next_block();
  }
  ATTUNE_VBMI_INLINE void next_block() {
    const __m512 values =
        _mm512_mul_ps(_mm512_loadu_ps(kNf4Values.data()), _mm512_set1_ps(nf4_scale(*weight, block) * factor));
    table = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(values));
    ++block;
  }
  ATTUNE_VBMI_INLINE __m512i next_64(std::int64_t /*count*/) {
    next_block();
    const __m512i pairs = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
    at += kNf4Block / 2;
    constexpr int kFirstOrSecondMasked = 0xF8;
    const __m512i indices = _mm512_ternarylogic_epi32(_mm512_srli_epi16(pairs, 4), _mm512_slli_epi16(pairs, 8),
                                                      _mm512_set1_epi16(0x0F00), kFirstOrSecondMasked);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), indices);
  }
  ATTUNE_VBMI_INLINE __m256i next_32(std::int64_t /*count*/) {
    if (!within_block) {
      __builtin_prefetch(at + ahead);
      next_block();
    }
    within_block = !within_block;
    const __m256i pairs = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    at += kNf4Block / 4;
    constexpr int kFirstOrSecondMasked = 0xF8;
    const __m256i indices = _mm256_ternarylogic_epi32(_mm256_srli_epi16(pairs, 4), _mm256_slli_epi16(pairs, 8),
                                                      _mm256_set1_epi16(0x0F00), kFirstOrSecondMasked);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), indices);
  }
};

// Columns that are stored rows: four summands lie side by side already and are turned.
template <typename Reader>
ATTUNE_VBMI void pack_stored_columns(std::int8_t* to, const RightOperand& b, const float* scales, std::int64_t column,
                                     std::int64_t begin, std::int64_t count) {
  const std::int64_t columns = std::min(kBf16Tile, b.columns() - column);
  for (std::int64_t half = 0; half < 2; ++half) {
    Reader readers[16];
    const std::int64_t present = std::clamp<std::int64_t>(columns - half * 16, 0, 16);
    for (std::int64_t c = 0; c < present; ++c) readers[c].start(b, scales, column + half * 16 + c, begin);
    std::int8_t* step = to + half * kHalf;
    for (std::int64_t l = 0; l < count; l += kCodeStep, step += kStep) {
      __m512i rows[16];
      for (std::int64_t c = 0; c < 16; ++c) {
        rows[c] = c < present ? readers[c].next_64(std::min(kCodeStep, count - l)) : _mm512_setzero_si512();
      }
      transpose_pairs(rows);
      for (std::int64_t q = 0; q < 16; ++q) _mm512_store_si512(step + q * kCodeStep, rows[q]);
    }
  }
  float* const column_scales = scales_of_codes(to, code_steps(count));
  for (std::int64_t n = 0; n < kBf16Tile; ++n) column_scales[n] = n < columns ? scales[column + n] : 0.0f;
}

// Summands that are stored rows: four are interleaved. A row passes through all tiles, since neighbouring tiles' parts of it
// share what was read and made for them.
template <typename Reader>
ATTUNE_VBMI void pack_stored_summands(std::int8_t* to, std::int64_t panel, const RightOperand& b, const float* scales,
                                      std::int64_t column, std::int64_t tiles, std::int64_t begin, std::int64_t count) {
  alignas(64) std::int8_t first_quads[64], last_quads[64];  // the order of bytes of rows 0 and 1, then 2 and 3
  for (int n = 0; n < 16; ++n) {
    for (int i = 0; i < 4; ++i) {
      first_quads[4 * n + i] = static_cast<std::int8_t>(32 * i + n);
      last_quads[4 * n + i] = static_cast<std::int8_t>(32 * i + n + 16);
    }
  }
  const __m512i low = _mm512_load_si512(first_quads), high = _mm512_load_si512(last_quads);
  const std::int64_t steps = code_steps(count);
  for (std::int64_t l = 0; l < steps * kCodeStep; l += 4) {
    Reader readers[4];
    const std::int64_t present = std::clamp<std::int64_t>(count - l, 0, 4);
    for (std::int64_t i = 0; i < present; ++i) readers[i].start(b, scales, begin + l + i, column);
    std::int8_t* line = to + l / kCodeStep * kStep + l % kCodeStep * 16;
    for (std::int64_t t = 0; t < tiles; ++t, line += panel) {
      const std::int64_t columns = std::min(kBf16Tile, b.columns() - column - t * kBf16Tile);
      __m256i rows[4];
      for (std::int64_t i = 0; i < 4; ++i) rows[i] = i < present ? readers[i].next_32(columns) : _mm256_setzero_si256();
      const __m512i first = _mm512_inserti64x4(_mm512_castsi256_si512(rows[0]), rows[1], 1),
                    second = _mm512_inserti64x4(_mm512_castsi256_si512(rows[2]), rows[3], 1);
      _mm512_store_si512(line, _mm512_permutex2var_epi8(first, low, second));
      _mm512_store_si512(line + kHalf, _mm512_permutex2var_epi8(first, high, second));
    }
  }
  for (std::int64_t t = 0; t < tiles; ++t) std::fill_n(scales_of_codes(to + t * panel, steps), kBf16Tile, 1.0f);
}

// Whether a part of each stored row, `count` from `column` on, is whole NF4 blocks but for the ends' halves.
bool has_whole_blocks(const RightOperand& b, std::int64_t column, std::int64_t count, std::int64_t grain) {
  return b.weight.format == WeightFormat::kNF4 && b.weight.columns % kNf4Block == 0 && column % grain == 0 &&
         count % grain == 0;
}

}  // namespace

void pack_code_rows(std::int8_t* to, const Matrix& a, const float* factors, std::int64_t row, std::int64_t begin,
                    std::int64_t count) {
  const std::int64_t rows = std::min(kBf16Tile, a.rows - row), steps = code_steps(count);
  float* const scales = scales_of_codes(to, steps);
  for (std::int64_t r = 0; r < kBf16Tile; ++r) {
    std::int8_t* const line = to + r * kCodeStep;  // the second half follows the first
    if (r < rows) {
      const bf16* const from = static_cast<const bf16*>(a.data) + (row + r) * a.stride + begin;
      if (factors == nullptr) {
        pack_row<false>(line, scales + r, from, nullptr, count);
      } else {
        pack_row<true>(line, scales + r, from, factors + begin, count);
      }
      continue;
    }
    for (std::int64_t s = 0; s < steps; ++s) std::fill_n(line + s * kStep, kCodeStep, std::int8_t{0});
    scales[r] = 0.0f;
  }
}

void pack_code_columns(std::int8_t* to, std::int64_t panel, const RightOperand& b, const float* row_scales,
                       std::int64_t column, std::int64_t tiles, std::int64_t begin, std::int64_t count) {
  const bool int8 = b.weight.format == WeightFormat::kInt8, plain = b.weight.format == WeightFormat::kBF16;
  if (!b.transposed) {
    const bool whole_blocks =
        has_whole_blocks(b, column, tiles * kBf16Tile, kBf16Tile) && column + tiles * kBf16Tile <= b.columns();
    const auto pack = int8           ? pack_stored_summands<Int8CodeReader>
                      : plain        ? pack_stored_summands<Bf16CodeReader>
                      : whole_blocks ? pack_stored_summands<Nf4CodeReader>
                                     : pack_stored_summands<AnyCodeReader>;
    return pack(to, panel, b, row_scales, column, tiles, begin, count);
  }
  const auto pack = int8                                           ? pack_stored_columns<Int8CodeReader>
                    : plain                                        ? pack_stored_columns<Bf16CodeReader>
                    : has_whole_blocks(b, begin, count, kCodeStep) ? pack_stored_columns<Nf4CodeReader>
                                                                   : pack_stored_columns<AnyCodeReader>;
  for (std::int64_t t = 0; t < tiles; ++t) pack(to + t * panel, b, row_scales, column + t * kBf16Tile, begin, count);
}

#else

void pack_code_rows(std::int8_t*, const Matrix&, const float*, std::int64_t, std::int64_t, std::int64_t) {
  throw InternalError("[tile_codes] only for x86-64");
}
void pack_code_columns(std::int8_t*, std::int64_t, const RightOperand&, const float*, std::int64_t, std::int64_t,
                       std::int64_t, std::int64_t) {
  throw InternalError("[tile_codes] only for x86-64");
}

#endif

}  // namespace attune
