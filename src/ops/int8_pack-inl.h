// Packing the operands of int8_gemm.cc: pairs of neighbouring summands as two i16 in one 32-bit lane. Included once per
// Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_INT8_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_INT8_PACK_INL_H_
#undef ATTUNE_OPS_INT8_PACK_INL_H_
#else
#define ATTUNE_OPS_INT8_PACK_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "ops/gemm_pack-inl.h"
#include "quant/nf4.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

constexpr float kInt8Levels = 127.0f;
constexpr std::int64_t kCodeLength = 512;  // summands of one block: a panel of b fills half of L1

// Codes of stored elements [column, column + count) of a row, for the row's scale. `floats` is scratch for `count`.
HWY_INLINE void read_codes(std::int16_t* HWY_RESTRICT to, const WeightMatrix& weight, float scale, std::int64_t row,
                           std::int64_t column, std::int64_t count, float* HWY_RESTRICT floats) {
  const float factor = scale > 0.0f ? 1.0f / scale : 0.0f;
  if (weight.format == WeightFormat::kInt8) {
    const auto* const from = static_cast<const std::int8_t*>(weight.data) + row * weight.columns + column;
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  if (weight.format == WeightFormat::kNF4 && weight.columns % kNf4Block == 0 && column % kNf4Block == 0 &&
      count % kNf4Block == 0) {
    const hn::CappedTag<std::uint8_t, 32> d8;
    const hn::CappedTag<std::uint8_t, 16> half8;
    const hn::CappedTag<std::int8_t, 16> signed8;
    const hn::CappedTag<std::int16_t, 16> d16;
    const hn::Repartition<std::uint16_t, decltype(d8)> du16;
    const std::int64_t first = (row * weight.columns + column) / kNf4Block;
    const auto* codes = static_cast<const std::uint8_t*>(weight.data) + first * (kNf4Block / 2);
    for (std::int64_t b = 0; b < count / kNf4Block; ++b, codes += kNf4Block / 2, to += kNf4Block) {
      float block_scale;
      nf4_scales(&block_scale, weight, first + b, 1);
      alignas(32) std::int16_t wide[16];
      alignas(16) std::uint8_t table[16];
      round_codes(wide, kNf4Values.data(), block_scale * factor, 16);
      for (int i = 0; i < 16; ++i) table[i] = static_cast<std::uint8_t>(wide[i]);
      const auto lookup = hn::LoadDup128(d8, table), nibble = hn::Set(d8, 15);
      const auto packed = hn::LoadU(d8, codes);
      const auto high =
          hn::TableLookupBytes(lookup, hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(du16, packed))), nibble));
      const auto low = hn::TableLookupBytes(lookup, hn::And(packed, nibble));
      const auto lower = hn::InterleaveLower(d8, high, low), upper = hn::InterleaveUpper(d8, high, low);
      const auto put = [&](auto bytes, std::int64_t at)
                           HWY_ATTR { hn::StoreU(hn::PromoteTo(d16, hn::BitCast(signed8, bytes)), d16, to + at); };
      put(hn::LowerHalf(half8, lower), 0), put(hn::LowerHalf(half8, upper), 16);
      put(hn::UpperHalf(half8, lower), 32), put(hn::UpperHalf(half8, upper), 48);
    }
    return;
  }
#endif
  decode_span(floats, weight, row, column, count);
  round_codes(to, floats, factor, count);
}

// Rows [first, first + rows) of a, summands [begin, begin + count) times `factors` (null: 1), rounded with a scale each:
// to[(panel * pairs + pair) * kPanel + r], scales[r]. `pairs` is half of count, rounded up.
HWY_INLINE void pack_left_codes(std::int32_t* HWY_RESTRICT to, float* scales, const float* a, std::int64_t stride,
                                const float* factors, std::int64_t rows, std::int64_t begin, std::int64_t count,
                                float* HWY_RESTRICT floats) {
  const F32 d;
  const std::int64_t pairs = (count + 1) / 2;
  alignas(64) std::int16_t codes[kCodeLength + 2] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* from = a + r * stride + begin;
    if (factors != nullptr) {
      std::int64_t i = 0;
      for (; i + lanes() <= count; i += lanes()) {
        hn::StoreU(hn::Mul(hn::LoadU(d, from + i), hn::LoadU(d, factors + begin + i)), d, floats + i);
      }
      for (; i < count; ++i) floats[i] = from[i] * factors[begin + i];
      from = floats;
    }
    const float most = largest_magnitude(from, count);
    scales[r] = most / kInt8Levels;
    round_codes(codes, from, most > 0.0f ? kInt8Levels / most : 0.0f, count);
    codes[count] = 0;
    std::int32_t* const panel = to + (r / kPanel) * pairs * kPanel + r % kPanel;
    for (std::int64_t p = 0; p < pairs; ++p) {
      std::int32_t pair;
      std::memcpy(&pair, codes + 2 * p, sizeof(pair));
      panel[p * kPanel] = pair;
    }
  }
  for (std::int64_t r = rows; r % kPanel != 0; ++r) {
    std::int32_t* const panel = to + (r / kPanel) * pairs * kPanel + r % kPanel;
    for (std::int64_t p = 0; p < pairs; ++p) panel[p * kPanel] = 0;
  }
}

// Panels of panel_columns() columns: to[(panel * pairs + pair) * width + n]. `codes` is scratch for panel_columns() rows
// of kCodeLength + 2, or for two rows of `columns` rounded up to panels.
HWY_INLINE void pack_right_codes(std::int32_t* HWY_RESTRICT to, const WeightMatrix& weight, const float* scales,
                                 bool transposed, std::int64_t begin, std::int64_t count, std::int64_t columns_begin,
                                 std::int64_t columns, std::int16_t* HWY_RESTRICT codes, float* HWY_RESTRICT floats) {
  const std::int64_t width = panel_columns(), pairs = (count + 1) / 2;
  if (transposed) {
    constexpr std::int64_t kRow = kCodeLength + 2;
    const std::int64_t square = static_cast<std::int64_t>(hn::Lanes(Eight()));
    for (std::int64_t n = 0; n < columns; n += width) {
      for (std::int64_t c = 0; c < width; ++c) {
        std::int16_t* const row = codes + c * kRow;
        const std::int64_t column = columns_begin + n + c;
        if (n + c < columns)
          read_codes(row, weight, scales[column], column, begin, count, floats);
        else
          std::fill(row, row + count, std::int16_t{0});
        row[count] = 0;
      }
      // A pair moves as one 32-bit value; only its bits matter.
      const auto* const from = reinterpret_cast<const float*>(codes);
      auto* const panel = reinterpret_cast<float*>(to + n * pairs);
      std::int64_t p = 0;
      for (; p + square <= pairs; p += square) {
        for (std::int64_t c = 0; c < width; c += square) {
          transpose_square(panel + p * width + c, width, from + c * (kRow / 2) + p, kRow / 2);
        }
      }
      for (; p < pairs; ++p) {
        for (std::int64_t c = 0; c < width; ++c) {
          std::memcpy(panel + p * width + c, codes + c * kRow + 2 * p, sizeof(float));
        }
      }
    }
    return;
  }
  const std::int64_t padded = (columns + width - 1) / width * width;
  std::int16_t *const first = codes, *const second = codes + padded;
  for (std::int64_t p = 0; p < pairs; ++p) {
    const std::int64_t row = begin + 2 * p;
    read_codes(first, weight, scales[row], row, columns_begin, columns, floats);
    if (2 * p + 1 < count)
      read_codes(second, weight, scales[row + 1], row + 1, columns_begin, columns, floats);
    else
      std::fill(second, second + columns, std::int16_t{0});
    for (std::int64_t n = columns; n < padded; ++n) first[n] = second[n] = 0;
    for (std::int64_t n = 0; n < padded; n += width) {
      auto* const line = reinterpret_cast<std::int16_t*>(to + (n * pairs + p * width));
      for (std::int64_t i = 0; i < width; ++i) line[2 * i] = first[n + i], line[2 * i + 1] = second[n + i];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_INT8_PACK_INL_H_
