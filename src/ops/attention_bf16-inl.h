// What both passes of attention over tiles of bf16 share. Scores are computed transposed, keys as rows and queries as
// columns: maxima, sums and log-sum-exps of 16 queries are then one vector each, keys are left operands in the order in
// which they lie in memory, and probabilities come out as rows of the operands that the gradients of keys and values
// need. For x86-64 with AVX-512, as ops/bf16_pack-inl.h.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "ops/attention_blocks.h"
#include "ops/bf16_pack-inl.h"
#include "ops/bf16_tile.h"

namespace attune {

inline constexpr std::int64_t kKeyBlock = 256, kKeySteps = kKeyBlock / kBf16Tile;  // tokens that are packed together
inline constexpr std::int64_t kQueryPanels = 8;  // of 32 queries of one head that meet the packed keys together
inline constexpr int kQueryLanes = 16;
inline constexpr float kLog2OfE = 1.44269504088896341f, kLogOf2 = 0.693147180559945309f;

// The head size rounded up to whole steps.
inline std::int64_t padded_size(std::int64_t head_size) { return tiles_of(head_size) * kBf16Tile; }

// ---- Which tokens make a block, and which see one another.

// Panels are in the order of their queries: [0, 32) of every head of the chunk, then [32, 64). Those that see a key are
// then neighbours, and one product sums over all of them. Fewer heads leave room for more queries; a block of keys is a
// multiple of that of queries.
inline std::int64_t chunk_heads(const AttentionShape& shape) {
  return (shape.group() + shape.group_chunks() - 1) / shape.group_chunks();
}
inline std::int64_t query_block(const AttentionShape& shape) { return kQueryPanels / chunk_heads(shape) * kBf16Tile; }

// Blocks of `size` tokens that begin where their sequence does, over all sequences.
inline std::int64_t sequence_blocks(const AttentionShape& shape, std::int64_t size) {
  std::int64_t blocks = 0;
  for (std::size_t s = 1; s < shape.starts.size(); ++s) {
    blocks += (shape.starts[s] - shape.starts[s - 1] + size - 1) / size;
  }
  return blocks;
}

inline Run sequence_block(const AttentionShape& shape, std::int64_t size, std::int64_t block) {
  for (std::size_t s = 1;; ++s) {
    const std::int64_t first = shape.starts[s - 1], last = shape.starts[s], blocks = (last - first + size - 1) / size;
    if (block < blocks) {
      return {first + block * size, std::min(first + (block + 1) * size, last), first, last};
    }
    block -= blocks;
  }
}

// The steps [begin, end), each of one tile, of something that is seen from elsewhere.
struct SeenTiles {
  std::int64_t begin, end;
  bool empty() const { return begin >= end; }
  std::int64_t count() const { return end - begin; }
};

// Of the keys from `keys` on: those that some of the 32 queries from `query` on sees.
inline SeenTiles seen_keys(std::int64_t query, std::int64_t keys, std::int64_t window) {
  return {std::max<std::int64_t>(0, query - window + 1 - keys) / kBf16Tile,
          std::clamp<std::int64_t>((query - keys) / kBf16Tile + 1, 0, kKeySteps)};
}

// Of `count` queries from `queries` on: those that see some of the 32 keys from `key` on.
inline SeenTiles seeing_queries(std::int64_t key, std::int64_t queries, std::int64_t count, std::int64_t window) {
  const std::int64_t last = std::min(count, key + kBf16Tile - 1 + window - queries);
  return {std::max<std::int64_t>(0, key - queries) / kBf16Tile, last > 0 ? tiles_of(last) : 0};
}

// Whether some of 32 queries does not see some of 32 keys that `distance` tokens lie behind.
inline bool partly_seen(std::int64_t distance, std::int64_t window) {
  return distance < kBf16Tile - 1 || distance + kBf16Tile - 1 >= window;
}

// Of 16 queries, the first of them `distance` tokens after a key: those that see it.
ATTUNE_AVX512_INLINE __mmask16 sees(std::int64_t distance, std::int64_t window) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i distances = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(distance)));
  return _mm512_cmplt_epu32_mask(distances, _mm512_set1_epi32(static_cast<int>(window)));
}

// ---- Operands from rows of memory, and rows from sums. Tokens and elements beyond the last are zero.

ATTUNE_AVX512_INLINE __m512i part_of_row(const bf16* from, std::int64_t row, std::int64_t stride, std::int64_t rows,
                                         std::int64_t column, std::int64_t columns) {
  if (row >= rows) return _mm512_setzero_si512();
  return first_elements(from + row * stride + column, std::min(kBf16Tile, columns - column));
}

// [rows, columns] as the left operand of products over the columns; with kTransposed, its transpose as the right one.
// Tiles of 32 rows lie one after the other.
template <bool kTransposed>
ATTUNE_AVX512 void pack_head_rows(bf16* to, const bf16* from, std::int64_t stride, std::int64_t rows,
                                  std::int64_t columns) {
  for (std::int64_t tile = 0; tile < rows; tile += kBf16Tile) {
    for (std::int64_t column = 0; column < columns; column += kBf16Tile) {
      for (std::int64_t half = tile; half < tile + kBf16Tile; half += kQueryLanes, to += kBf16Step / 2) {
        __m512i x[kQueryLanes];
        for (int r = 0; r < kQueryLanes; ++r) x[r] = part_of_row(from, half + r, stride, rows, column, columns);
        if constexpr (kTransposed) transpose_pairs(x);
        for (int r = 0; r < kQueryLanes; ++r) _mm512_store_si512(to + r * kBf16Tile, x[r]);
      }
    }
  }
}

// [rows, columns] as the right operand of products over the rows; with kTransposed, its transpose as the left one.
// Tiles of 32 columns lie `steps` steps of rows apart.
template <bool kTransposed>
ATTUNE_AVX512 void pack_head_columns(bf16* to, std::int64_t steps, const bf16* from, std::int64_t stride,
                                     std::int64_t rows, std::int64_t columns) {
  for (std::int64_t column = 0; column < columns; column += kBf16Tile, to += steps * kBf16Step) {
    for (std::int64_t step = 0; step < rows; step += kBf16Tile) {
      __m512i low[kQueryLanes], high[kQueryLanes];
      for (int pair = 0; pair < kQueryLanes; ++pair) {
        const std::int64_t row = step + 2 * pair;
        interleave(part_of_row(from, row, stride, rows, column, columns),
                   part_of_row(from, row + 1, stride, rows, column, columns), low[pair], high[pair]);
      }
      if constexpr (kTransposed) transpose_pairs(low), transpose_pairs(high);
      bf16* const block = to + step * kBf16Tile;
      for (int i = 0; i < kQueryLanes; ++i) {
        _mm512_store_si512(block + i * kBf16Tile, low[i]);
        _mm512_store_si512(block + kBf16Step / 2 + i * kBf16Tile, high[i]);
      }
    }
  }
}

// Rounds the transpose of `from` [columns, 32], queries as columns, to `rows` rows; each query has its factor in one of
// the two vectors.
ATTUNE_AVX512_INLINE void store_head_columns(bf16* to, std::int64_t stride, const float* from, std::int64_t rows,
                                             std::int64_t columns, const __m512* factors) {
  for (std::int64_t half = 0; half * kQueryLanes < rows; ++half) {
    for (std::int64_t column = 0; column < columns; column += kBf16Tile) {
      const auto mask = static_cast<__mmask32>((std::uint64_t{1} << std::min(kBf16Tile, columns - column)) - 1);
      __m512i x[2][kQueryLanes];
      for (int part = 0; part < 2; ++part) {
        for (int i = 0; i < kQueryLanes; ++i) {
          const float* const line = from + (column + part * kQueryLanes + i) * kBf16Tile + half * kQueryLanes;
          x[part][i] = (__m512i)_mm512_mul_ps(_mm512_load_ps(line), factors[half]);
        }
        transpose_pairs(x[part]);
      }
      const int last = static_cast<int>(std::min<std::int64_t>(kQueryLanes, rows - half * kQueryLanes));
      for (int r = 0; r < last; ++r) {
        _mm512_mask_storeu_epi16(to + (half * kQueryLanes + r) * stride + column, mask,
                                 (__m512i)_mm512_cvtne2ps_pbh((__m512)x[1][r], (__m512)x[0][r]));
      }
    }
  }
}

// Rounds `from` [rows, padded columns], times `factor`.
ATTUNE_AVX512_INLINE void store_head_rows(bf16* to, std::int64_t stride, const float* from, std::int64_t rows,
                                          std::int64_t columns, float factor) {
  const std::int64_t width = padded_size(columns);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t column = 0; column < columns; column += kBf16Tile) {
      const auto mask = static_cast<__mmask32>((std::uint64_t{1} << std::min(kBf16Tile, columns - column)) - 1);
      _mm512_mask_storeu_epi16(to + r * stride + column, mask,
                               rounded(from + r * width + column, _mm512_set1_ps(factor)));
    }
  }
}

// ---- Arithmetic.

// 2^x within 2e-7 relative: 0 for minus infinity. The polynomial is the best of degree 5 for 2^r over [0, 1).
ATTUNE_AVX512_INLINE __m512 power_of_two(__m512 x) {
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);  // x less its floor, which scalef takes
  __m512 p = _mm512_set1_ps(0.00187757669f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.00898933969f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0558263175f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.240153611f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693153083f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.99999994f));
  return _mm512_scalef_ps(p, x);
}

// Neighbours of `a` and of `b`, 16 columns of two rows, become neighbours of one column: a pair of a right operand.
ATTUNE_AVX512_INLINE __m512i rounded_pairs(__m512 a, __m512 b) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

}  // namespace attune
