// The operands of a bf16 product in the order that its tiles read (ops/bf16_tile.h), and what comes of them. For x86-64 with
// AVX-512.
#pragma once

#include <cstdint>

#include "ops/gemm.h"

namespace attune {

// Rows [row, row + 32) and summands [begin, begin + count) of the term's left operand, bf16, as the steps of one tile:
// ceil(count / 32) of them. Rows past the end and summands past `count` are zeros.
void pack_bf16_left(bf16* to, const GemmTerm& term, std::int64_t row, std::int64_t begin, std::int64_t count);

// The same of `tiles` times 32 of the right operand's columns from `column` on, times its factor, rounded to nearest even;
// a tile's begin `panel` elements after those of the one before.
void pack_bf16_right(bf16* to, std::int64_t panel, const RightOperand& b, std::int64_t column, std::int64_t tiles,
                     std::int64_t begin, std::int64_t count);

// The tile of c, f32 or bf16, whose corner is (row, column) = (plus itself when accumulate) scale times sums [32, 32], as far
// as c goes.
void write_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale,
                     bool accumulate);
// The same past the caches, for a c that is so large that none would keep it: memory need not give first what is written
// over. Where streams_bf16_tiles says so; a thread calls finish_streamed_tiles before others read its tiles.
bool streams_bf16_tiles(const Matrix& c, bool accumulate);
void stream_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale);
void finish_streamed_tiles();
// The same of a tile of c's transpose: c [., .] f32, sums[j][i] belongs to (row + i, column + j).
void write_transposed_bf16_tile(const Matrix& c, std::int64_t row, std::int64_t column, const float* sums, float scale,
                                bool accumulate);

}  // namespace attune
