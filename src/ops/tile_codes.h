// The operands of a product in 8-bit codes in the order that its tiles read (ops/bf16_tile.h): rows of activations rounded
// with a scale each, weights with one for each of their stored rows. For has_int8_tiles().
#pragma once

#include <cstdint>

#include "ops/gemm.h"

namespace attune {

// Bytes of one packed operand of 32 rows or columns.
std::int64_t packed_codes(std::int64_t count);

// Rows [row, row + 32) and summands [begin, begin + count) of a, bf16, times `factors` of the summands (null: 1). Rows past
// the end and summands past `count` are zeros.
void pack_code_rows(std::int8_t* to, const Matrix& a, const float* factors, std::int64_t row, std::int64_t begin,
                    std::int64_t count);

// The same of `tiles` times 32 of the right operand's columns from `column` on; a tile's begin `panel` bytes after those of
// the one before. `row_scales` are those of the weight's stored rows (ops/int8_gemm.h): of columns when it is transposed,
// else of summands, of which the left operand then takes them as factors.
void pack_code_columns(std::int8_t* to, std::int64_t panel, const RightOperand& b, const float* row_scales,
                       std::int64_t column, std::int64_t tiles, std::int64_t begin, std::int64_t count);

}  // namespace attune
