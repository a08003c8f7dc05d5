#include "ops/bf16_pack.h"

#include <algorithm>

#include "base/error.h"
#include "ops/bf16_tile.h"
#include "quant/nf4.h"

#if defined(__x86_64__)
#include "ops/bf16_pack-inl.h"
#endif

namespace attune {

#if defined(__x86_64__)
namespace {

constexpr std::int64_t kHalf = kBf16Step / 2;

// ---- Stored rows of the right operand, 32 neighbouring elements at a time. Reader(b, row, column) stands at an element
// of a row; next(count) gives the first `count` of 32 and moves on by as many.

struct Bf16Reader {
  const bf16* at;
  std::int64_t ahead;  // to the row that is asked for meanwhile

  ATTUNE_AVX512_INLINE void start(const RightOperand& b, std::int64_t row, std::int64_t column) {
    at = static_cast<const bf16*>(b.weight.data) + row * b.stride + column;
    constexpr std::int64_t kRowsAhead = 16;
    ahead = kRowsAhead * b.stride;
  }
  ATTUNE_AVX512_INLINE __m512i next(std::int64_t count) {
    __builtin_prefetch(at + ahead);
    const __m512i values = count == 32 ? _mm512_loadu_si512(at) : first_elements(at, count);
    at += 32;
    return values;
  }
};

// Codes times the scale of their row.
struct Int8Reader {
  const std::int8_t* at;
  __m512 scale;

  ATTUNE_AVX512_INLINE void start(const RightOperand& b, std::int64_t row, std::int64_t column) {
    at = static_cast<const std::int8_t*>(b.weight.data) + row * b.weight.columns + column;
    scale = _mm512_set1_ps(b.weight.row_scales[row]);
  }
  ATTUNE_AVX512_INLINE __m512 scaled(__m128i codes) const {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes)), scale);
  }
  ATTUNE_AVX512_INLINE __m512i next(std::int64_t count) {
    const auto mask = static_cast<__mmask32>((std::uint64_t{1} << count) - 1);
    const __m256i codes = _mm256_maskz_loadu_epi8(mask, at);
    at += 32;
    return (__m512i)_mm512_cvtne2ps_pbh(scaled(_mm256_extracti128_si256(codes, 1)),
                                        scaled(_mm256_castsi256_si128(codes)));
  }
};

// Any format, by way of f32.
struct AnyReader {
  const RightOperand* b;
  std::int64_t row, column;

  ATTUNE_AVX512_INLINE void start(const RightOperand& from, std::int64_t stored_row, std::int64_t stored_column) {
    b = &from;
    row = stored_row;
    column = stored_column;
  }
  ATTUNE_AVX512_INLINE __m512i next(std::int64_t count) {
    alignas(64) float values[32] = {};
    const WeightMatrix& w = b->weight;
    if (w.format == WeightFormat::kF32) {
      std::copy_n(static_cast<const float*>(w.data) + row * b->stride + column, count, values);
    } else if (w.format == WeightFormat::kBF16) {
      const bf16* const from = static_cast<const bf16*>(w.data) + row * b->stride + column;
      for (std::int64_t i = 0; i < count; ++i) values[i] = to_float(from[i]);
    } else {
      decode_span(values, w, row, column, count);
    }
    column += 32;
    return rounded(values, _mm512_set1_ps(b->factor));
  }
};

// Rows of whole NF4 blocks. A block's sixteen values, scaled and rounded, are one permutation's table: a weight costs no
// arithmetic.
struct Nf4Reader {
  const WeightMatrix* weight;
  const std::uint8_t* codes;
  std::int64_t block;
  bool within_block;  // the second half of a block comes next, and its table is made
  __m512i table;

  // At the beginning of a block or in the middle of one.
  ATTUNE_AVX512_INLINE void start(const RightOperand& b, std::int64_t row, std::int64_t column) {
    weight = &b.weight;
    const std::int64_t element = row * weight->columns + column;
    codes = static_cast<const std::uint8_t*>(weight->data) + element / 2;
    block = element / kNf4Block;
    within_block = column % kNf4Block != 0;
    if (within_block) next_block();
  }
  ATTUNE_AVX512_INLINE void next_block() {
    const __m512 values = _mm512_mul_ps(_mm512_loadu_ps(kNf4Values.data()), _mm512_set1_ps(nf4_scale(*weight, block)));
    // Twice, so that the fifth bit of an index may be anything.
    table = _mm512_broadcast_i64x4((__m256i)_mm512_cvtneps_pbh(values));
    ++block;
  }
  // The next 32, of which all are there.
  ATTUNE_AVX512_INLINE __m512i next(std::int64_t /*count*/) {
    if (!within_block) next_block();
    within_block = !within_block;
    return half_block();
  }
  // The whole 32 of half a block.
  ATTUNE_AVX512_INLINE __m512i half_block() {
    const __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    codes += 16;
    return _mm512_permutexvar_epi16(_mm512_or_si512(_mm512_srli_epi32(pairs, 4), _mm512_slli_epi32(pairs, 16)), table);
  }
};

bool has_whole_blocks(const RightOperand& b, std::int64_t stored_column, std::int64_t stored_columns) {
  return b.weight.format == WeightFormat::kNF4 && b.factor == 1.0f && b.weight.columns % kNf4Block == 0 &&
         stored_column % kNf4Block == 0 && stored_columns % kNf4Block == 0;
}

// ---- Columns that are stored rows: pairs of summands lie side by side already and are turned.

ATTUNE_AVX512_INLINE void store_turned(bf16* to, __m512i* rows) {
  transpose_pairs(rows);
  for (int p = 0; p < 16; ++p) _mm512_store_si512(to + p * 32, rows[p]);
}

template <typename Reader>
ATTUNE_AVX512 void pack_stored_columns(bf16* to, const RightOperand& b, std::int64_t column, std::int64_t begin,
                                       std::int64_t count) {
  const std::int64_t columns = std::min(kBf16Tile, b.columns() - column);
  for (std::int64_t half = 0; half < 2; ++half) {
    Reader readers[16];
    const std::int64_t present = std::clamp<std::int64_t>(columns - half * 16, 0, 16);
    for (std::int64_t c = 0; c < present; ++c) readers[c].start(b, column + half * 16 + c, begin);
    bf16* step = to + half * kHalf;
    for (std::int64_t l = 0; l < count; l += 32, step += kBf16Step) {
      __m512i rows[16];
      for (std::int64_t c = 0; c < 16; ++c) {
        rows[c] = c < present ? readers[c].next(std::min<std::int64_t>(32, count - l)) : _mm512_setzero_si512();
      }
      store_turned(step, rows);
    }
  }
}

ATTUNE_AVX512 void pack_nf4_columns(bf16* to, const RightOperand& b, std::int64_t column, std::int64_t begin,
                                    std::int64_t count) {
  for (std::int64_t half = 0; half < 2; ++half) {
    for (std::int64_t l = 0; l < count; l += kNf4Block) {
      __m512i first[16], second[16];
      for (std::int64_t c = 0; c < 16; ++c) {
        Nf4Reader reader;
        reader.start(b, column + half * 16 + c, begin + l);
        reader.next_block();
        first[c] = reader.half_block();
        second[c] = reader.half_block();
      }
      bf16* const step = to + l * kBf16Tile + half * kHalf;
      store_turned(step, first);
      store_turned(step + kBf16Step, second);
    }
  }
}

// ---- Summands that are stored rows: those of a pair are interleaved.

// A row passes through all tiles, since neighbouring tiles' parts of it share what was read and made for them.
template <typename Reader>
ATTUNE_AVX512 void pack_stored_summands(bf16* to, std::int64_t panel, const RightOperand& b, std::int64_t column,
                                        std::int64_t tiles, std::int64_t begin, std::int64_t count) {
  for (std::int64_t l = 0; l < (count + 31) / 32 * 32; l += 2) {
    Reader readers[2];
    const std::int64_t present = std::clamp<std::int64_t>(count - l, 0, 2);
    for (std::int64_t i = 0; i < present; ++i) readers[i].start(b, begin + l + i, column);
    bf16* line = to + l / 32 * kBf16Step + l % 32 * 16;
    for (std::int64_t t = 0; t < tiles; ++t, line += panel) {
      const std::int64_t columns = std::min(kBf16Tile, b.columns() - column - t * kBf16Tile);
      const __m512i first = present > 0 ? readers[0].next(columns) : _mm512_setzero_si512();
      const __m512i second = present > 1 ? readers[1].next(columns) : _mm512_setzero_si512();
      __m512i low, high;
      interleave(first, second, low, high);
      _mm512_store_si512(line, low);
      _mm512_store_si512(line + kHalf, high);
    }
  }
}

ATTUNE_AVX512 void pack_stored_rows(bf16* to, const bf16* from, std::int64_t stride, std::int64_t rows,
                                    std::int64_t count) {
  for (std::int64_t r = 0; r < kBf16Tile; ++r) {
    bf16* line = to + r * 32;  // the second half follows the first
    for (std::int64_t l = 0; l < count; l += 32, line += kBf16Step) {
      const std::int64_t rest = r < rows ? std::min<std::int64_t>(32, count - l) : 0;
      const bf16* const at = from + r * stride + l;
      _mm512_store_si512(line, rest == 32 ? _mm512_loadu_si512(at) : first_elements(at, rest));
    }
  }
}

// Rows that are stored columns: from[l * stride + r].
ATTUNE_AVX512 void pack_stored_columns_as_rows(bf16* to, const bf16* from, std::int64_t stride, std::int64_t rows,
                                               std::int64_t count) {
  for (std::int64_t l = 0; l < count; l += 32, to += kBf16Step) {
    __m512i low[16], high[16];
    for (std::int64_t p = 0; p < 16; ++p) {
      __m512i pair[2];
      for (std::int64_t i = 0; i < 2; ++i) {
        const std::int64_t at = l + 2 * p + i;
        pair[i] = at < count ? first_elements(from + at * stride, rows) : _mm512_setzero_si512();
      }
      interleave(pair[0], pair[1], low[p], high[p]);
    }
    store_turned(to, low);
    store_turned(to + kHalf, high);
  }
}

ATTUNE_AVX512 void write_f32(float* to, std::int64_t stride, std::int64_t rows, std::int64_t columns, const float* sums,
                             float scale, bool accumulate) {
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << columns) - 1);
  for (std::int64_t r = 0; r < rows; ++r, to += stride, sums += kBf16Tile) {
    for (int half = 0; half < 2; ++half) {
      const auto part = static_cast<__mmask16>(mask >> (16 * half));
      float* const at = to + 16 * half;
      const __m512 before = accumulate ? _mm512_maskz_loadu_ps(part, at) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(at, part,
                            _mm512_fmadd_ps(_mm512_loadu_ps(sums + 16 * half), _mm512_set1_ps(scale), before));
    }
  }
}

// Whole tiles, past the caches.
ATTUNE_AVX512 void stream_f32(float* to, std::int64_t stride, std::int64_t rows, const float* sums, float scale) {
  for (std::int64_t r = 0; r < rows; ++r, to += stride, sums += kBf16Tile) {
    _mm512_stream_ps(to, _mm512_mul_ps(_mm512_loadu_ps(sums), _mm512_set1_ps(scale)));
    _mm512_stream_ps(to + 16, _mm512_mul_ps(_mm512_loadu_ps(sums + 16), _mm512_set1_ps(scale)));
  }
}

ATTUNE_AVX512 void write_rounded(bf16* to, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                                 const float* sums, float scale, bool accumulate) {
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << columns) - 1);
  for (std::int64_t r = 0; r < rows; ++r, to += stride, sums += kBf16Tile) {
    __m512 low = _mm512_setzero_ps(), high = low;
    if (accumulate) {
      const __m512i before = _mm512_maskz_loadu_epi16(mask, to);
      low = (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(before)), 16);
      high = (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(before, 1)), 16);
    }
    low = _mm512_fmadd_ps(_mm512_loadu_ps(sums), _mm512_set1_ps(scale), low);
    high = _mm512_fmadd_ps(_mm512_loadu_ps(sums + 16), _mm512_set1_ps(scale), high);
    _mm512_mask_storeu_epi16(to, mask, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

ATTUNE_AVX512 void write_transposed_f32(float* to, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                                        const float* sums, float scale, bool accumulate) {
  alignas(64) float turned[kBf16Tile * kBf16Tile];
  for (std::int64_t i = 0; i < kBf16Tile; i += 16) {
    for (std::int64_t j = 0; j < kBf16Tile; j += 16) {
      __m512i square[16];
      for (std::int64_t k = 0; k < 16; ++k) square[k] = _mm512_loadu_si512(sums + (i + k) * kBf16Tile + j);
      transpose_pairs(square);
      for (std::int64_t k = 0; k < 16; ++k) _mm512_store_si512(turned + (j + k) * kBf16Tile + i, square[k]);
    }
  }
  write_f32(to, stride, rows, columns, turned, scale, accumulate);
}

}  // namespace

void write_transposed_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale,
                                bool accumulate) {
  write_transposed_f32(static_cast<float*>(c.data) + row * c.stride + column, c.stride,
                       std::min(kBf16Tile, c.rows - row), std::min(kBf16Tile, c.columns - column), sums, scale,
                       accumulate);
}

bool streams_bf16_tiles(const Matrix& c, bool accumulate) {
  constexpr std::int64_t kFar = 32 << 20;  // bytes; beyond what caches keep until they are read
  constexpr std::int64_t kLine = 64, kSize = sizeof(float);
  return c.dtype == DType::kF32 && !accumulate && c.rows * c.stride * kSize >= kFar && c.stride * kSize % kLine == 0 &&
         reinterpret_cast<std::uintptr_t>(c.data) % kLine == 0;
}

void stream_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale) {
  if (column + kBf16Tile > c.columns) return write_bf16_tile(c, row, column, sums, scale, false);
  stream_f32(static_cast<float*>(c.data) + row * c.stride + column, c.stride, std::min(kBf16Tile, c.rows - row), sums,
             scale);
}

void finish_streamed_tiles() { _mm_sfence(); }

void write_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale,
                     bool accumulate) {
  const std::int64_t rows = std::min(kBf16Tile, c.rows - row), columns = std::min(kBf16Tile, c.columns - column);
  const std::int64_t at = row * c.stride + column;
  if (c.dtype == DType::kF32) {
    write_f32(static_cast<float*>(c.data) + at, c.stride, rows, columns, sums, scale, accumulate);
  } else {
    write_rounded(static_cast<bf16*>(c.data) + at, c.stride, rows, columns, sums, scale, accumulate);
  }
}

void pack_bf16_left(bf16* to, const GemmTerm& term, std::int64_t row, std::int64_t begin, std::int64_t count) {
  const auto* const a = static_cast<const bf16*>(term.a.data);
  const std::int64_t stride = term.a.stride;
  if (term.a_transposed) {
    pack_stored_columns_as_rows(to, a + begin * stride + row, stride, std::min(kBf16Tile, term.a.columns - row), count);
  } else {
    pack_stored_rows(to, a + row * stride + begin, stride, std::min(kBf16Tile, term.a.rows - row), count);
  }
}

void pack_bf16_right(bf16* to, std::int64_t panel, const RightOperand& b, std::int64_t column, std::int64_t tiles,
                     std::int64_t begin, std::int64_t count) {
  const bool plain = b.weight.format == WeightFormat::kBF16 && b.factor == 1.0f;
  const bool int8 = b.weight.format == WeightFormat::kInt8 && b.factor == 1.0f;
  if (!b.transposed) {
    const bool whole_blocks = has_whole_blocks(b, 0, 0) && column + tiles * kBf16Tile <= b.columns();
    const auto pack = plain          ? pack_stored_summands<Bf16Reader>
                      : int8         ? pack_stored_summands<Int8Reader>
                      : whole_blocks ? pack_stored_summands<Nf4Reader>
                                     : pack_stored_summands<AnyReader>;
    return pack(to, panel, b, column, tiles, begin, count);
  }
  for (std::int64_t t = 0; t < tiles; ++t, to += panel, column += kBf16Tile) {
    const bool whole_blocks = has_whole_blocks(b, begin, count) && column + kBf16Tile <= b.columns();
    const auto pack = plain          ? pack_stored_columns<Bf16Reader>
                      : int8         ? pack_stored_columns<Int8Reader>
                      : whole_blocks ? pack_nf4_columns
                                     : pack_stored_columns<AnyReader>;
    pack(to, b, column, begin, count);
  }
}

#else

void pack_bf16_left(bf16*, const GemmTerm&, std::int64_t, std::int64_t, std::int64_t) {
  throw InternalError("[bf16_pack] only for x86-64");
}
void pack_bf16_right(bf16*, std::int64_t, const RightOperand&, std::int64_t, std::int64_t, std::int64_t, std::int64_t) {
  throw InternalError("[bf16_pack] only for x86-64");
}

void write_transposed_bf16_tile(const Matrix&, std::int64_t, std::int64_t, const float*, float, bool) {
  throw InternalError("[bf16_pack] only for x86-64");
}
void write_bf16_tile(const Matrix&, std::int64_t, std::int64_t, const float*, float, bool) {
  throw InternalError("[bf16_pack] only for x86-64");
}
bool streams_bf16_tiles(const Matrix&, bool) { return false; }
void stream_bf16_tile(const Matrix&, std::int64_t, std::int64_t, const float*, float) {
  throw InternalError("[bf16_pack] only for x86-64");
}
void finish_streamed_tiles() {}

#endif

}  // namespace attune
