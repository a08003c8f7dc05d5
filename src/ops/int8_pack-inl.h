// Packing the operands of int8_gemm.cc: quads of neighbouring summands as four bytes of one 32-bit lane. Included once per
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
#include <cstring>

#include "ops/gemm_pack-inl.h"
#include "ops/int8_gemm.h"
#include "quant/nf4.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

using I32 = hn::Rebind<std::int32_t, F32>;

// Codes of stored elements [column, column + count) of a row, for the row's scale. `floats` is scratch for `count`.
HWY_INLINE void read_codes(std::int8_t* HWY_RESTRICT to, const WeightMatrix& weight, float scale, std::int64_t row,
                           std::int64_t column, std::int64_t count, float* HWY_RESTRICT floats) {
  const float factor = scale > 0.0f ? 1.0f / scale : 0.0f;
  if (weight.format == WeightFormat::kInt8) {
    std::memcpy(to, static_cast<const std::int8_t*>(weight.data) + row * weight.columns + column,
                static_cast<std::size_t>(count));
    return;
  }
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  if (weight.format == WeightFormat::kNF4 && weight.columns % kNf4Block == 0 && column % kNf4Block == 0 &&
      count % kNf4Block == 0) {
    const hn::CappedTag<std::uint8_t, 32> d8;
    const hn::CappedTag<std::int8_t, 16> half8;
    const hn::Repartition<std::uint16_t, decltype(d8)> du16;
    const std::int64_t first = (row * weight.columns + column) / kNf4Block;
    const auto* codes = static_cast<const std::uint8_t*>(weight.data) + first * (kNf4Block / 2);
    for (std::int64_t b = 0; b < count / kNf4Block; ++b, codes += kNf4Block / 2, to += kNf4Block) {
      float block_scale;
      nf4_scales(&block_scale, weight, first + b, 1);
      alignas(16) std::int8_t table[16];
      round_codes(table, kNf4Values.data(), block_scale * factor, 16);
      const auto lookup = hn::LoadDup128(d8, reinterpret_cast<const std::uint8_t*>(table)), nibble = hn::Set(d8, 15);
      const auto packed = hn::LoadU(d8, codes);
      const auto high =
          hn::TableLookupBytes(lookup, hn::And(hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(du16, packed))), nibble));
      const auto low = hn::TableLookupBytes(lookup, hn::And(packed, nibble));
      const hn::Repartition<std::int8_t, decltype(d8)> signed8;
      const auto lower = hn::BitCast(signed8, hn::InterleaveLower(d8, high, low)),
                 upper = hn::BitCast(signed8, hn::InterleaveUpper(d8, high, low));
      hn::StoreU(hn::LowerHalf(half8, lower), half8, to), hn::StoreU(hn::LowerHalf(half8, upper), half8, to + 16);
      hn::StoreU(hn::UpperHalf(half8, lower), half8, to + 32), hn::StoreU(hn::UpperHalf(half8, upper), half8, to + 48);
    }
    return;
  }
#endif
  decode_span(floats, weight, row, column, count);
  round_codes(to, floats, factor, count);
}

// Rows [first, first + rows) of a, summands [begin, begin + count) times `factors` (null: 1), rounded with a scale each
// and moved up by `levels`: to[(panel * quads + quad) * kPanel + r], scales[r]. `quads` is a quarter of count, rounded up.
HWY_INLINE void pack_left_codes(std::int32_t* HWY_RESTRICT to, float* scales, std::int32_t levels, const float* a,
                                std::int64_t stride, const float* factors, std::int64_t rows, std::int64_t begin,
                                std::int64_t count, float* HWY_RESTRICT floats) {
  const F32 d;
  const std::int64_t quads = (count + 3) / 4;
  alignas(64) std::uint8_t codes[kInt8Block] = {};
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
    const auto largest_code = static_cast<float>(levels);
    scales[r] = most / largest_code;
    round_codes(codes, from, most > 0.0f ? largest_code / most : 0.0f, count, levels);
    std::int32_t* const panel = to + (r / kPanel) * quads * kPanel + r % kPanel;
    for (std::int64_t q = 0; q < quads; ++q) {
      std::int32_t quad;
      std::memcpy(&quad, codes + 4 * q, sizeof(quad));
      panel[q * kPanel] = quad;
    }
  }
}

// to[4 * n + i] = rows[i * stride + n]: four rows of bytes as one of quads.
HWY_INLINE void interleave_rows(std::int8_t* HWY_RESTRICT to, const std::int8_t* HWY_RESTRICT rows, std::int64_t stride,
                                std::int64_t count) {
  std::int64_t n = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<std::int8_t, 16> d8;
  const hn::Repartition<std::int16_t, decltype(d8)> d16;
  for (; n + 16 <= count; n += 16) {
    const auto row = [&](std::int64_t i) HWY_ATTR { return hn::LoadU(d8, rows + i * stride + n); };
    const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d8, r0, r1)),
               low23 = hn::BitCast(d16, hn::InterleaveLower(d8, r2, r3)),
               high01 = hn::BitCast(d16, hn::InterleaveUpper(d8, r0, r1)),
               high23 = hn::BitCast(d16, hn::InterleaveUpper(d8, r2, r3));
    const auto put = [&](auto quads, std::int64_t at)
                         HWY_ATTR { hn::StoreU(hn::BitCast(d8, quads), d8, to + 4 * (n + at)); };
    put(hn::InterleaveLower(d16, low01, low23), 0), put(hn::InterleaveUpper(d16, low01, low23), 4);
    put(hn::InterleaveLower(d16, high01, high23), 8), put(hn::InterleaveUpper(d16, high01, high23), 12);
  }
#endif
  for (; n < count; ++n) {
    for (std::int64_t i = 0; i < 4; ++i) to[4 * n + i] = rows[i * stride + n];
  }
}

// The sum of each lane's four signed bytes.
HWY_INLINE hn::Vec<I32> sum_of_bytes(hn::Vec<I32> quads) {
  const auto upper = hn::Add(hn::ShiftRight<24>(quads), hn::ShiftRight<24>(hn::ShiftLeft<8>(quads)));
  return hn::Add(upper,
                 hn::Add(hn::ShiftRight<24>(hn::ShiftLeft<16>(quads)), hn::ShiftRight<24>(hn::ShiftLeft<24>(quads))));
}

// Which part of a weight is packed: `count` summands from `begin` on of `columns` columns from `first` on, with the scales
// of the weight's rows.
struct CodePart {
  const WeightMatrix& weight;
  const float* scales;
  std::int64_t begin, count, first, columns;

  std::int64_t quads() const { return (count + 3) / 4; }
  std::int64_t padded() const { return (columns + panel_columns() - 1) / panel_columns() * panel_columns(); }
};

// Columns that are rows of the weight, as they are in the forward product: each is read whole, then they are turned. `codes`
// is scratch for panel_columns() rows of kInt8Block.
HWY_INLINE void pack_code_rows(std::int32_t* HWY_RESTRICT to, const CodePart& part, std::int8_t* HWY_RESTRICT codes,
                               float* HWY_RESTRICT floats) {
  const std::int64_t width = panel_columns(), quads = part.quads();
  const auto square = static_cast<std::int64_t>(hn::Lanes(Eight()));
  for (std::int64_t n = 0; n < part.columns; n += width) {
    for (std::int64_t c = 0; c < width; ++c) {
      std::int8_t* const row = codes + c * kInt8Block;
      const std::int64_t column = part.first + n + c, used = n + c < part.columns ? part.count : 0;
      if (used > 0) read_codes(row, part.weight, part.scales[column], column, part.begin, part.count, floats);
      std::fill(row + used, row + 4 * quads, std::int8_t{0});
    }
    // A quad moves as one 32-bit value; only its bits matter.
    const auto* const from = reinterpret_cast<const float*>(codes);
    auto* const panel = reinterpret_cast<float*>(to + n * quads);
    std::int64_t q = 0;
    for (; q + square <= quads; q += square) {
      for (std::int64_t c = 0; c < width; c += square) {
        transpose_square(panel + q * width + c, width, from + c * (kInt8Block / 4) + q, kInt8Block / 4);
      }
    }
    for (; q < quads; ++q) {
      for (std::int64_t c = 0; c < width; ++c) {
        std::memcpy(panel + q * width + c, codes + c * kInt8Block + 4 * q, sizeof(float));
      }
    }
  }
}

// Columns of the weight, as they are in the backward product: four rows at a time become a row of quads. `codes` is scratch
// for four rows of `columns` rounded up to panels.
HWY_INLINE void pack_code_columns(std::int32_t* HWY_RESTRICT to, const CodePart& part, std::int8_t* HWY_RESTRICT codes,
                                  float* HWY_RESTRICT floats) {
  const std::int64_t width = panel_columns(), quads = part.quads(), padded = part.padded();
  for (std::int64_t q = 0; q < quads; ++q) {
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::int64_t row = part.begin + 4 * q + i, used = 4 * q + i < part.count ? part.columns : 0;
      if (used > 0)
        read_codes(codes + i * padded, part.weight, part.scales[row], row, part.first, part.columns, floats);
      std::fill(codes + i * padded + used, codes + (i + 1) * padded, std::int8_t{0});
    }
    for (std::int64_t n = 0; n < padded; n += width) {
      interleave_rows(reinterpret_cast<std::int8_t*>(to + n * quads + q * width), codes + n, padded, width);
    }
  }
}

// Panels of panel_columns() columns: to[(panel * quads + quad) * width + n]; starts[n] is where the column's sums begin so
// that the activations' offset of `levels` falls out of them. `codes` is scratch for the larger of both ways.
HWY_INLINE void pack_right_codes(std::int32_t* HWY_RESTRICT to, std::int32_t* HWY_RESTRICT starts, std::int32_t levels,
                                 const CodePart& part, bool transposed, std::int8_t* HWY_RESTRICT codes,
                                 float* HWY_RESTRICT floats) {
  if (transposed) {
    pack_code_rows(to, part, codes, floats);
  } else {
    pack_code_columns(to, part, codes, floats);
  }
  const I32 d32;
  const std::int64_t width = panel_columns(), quads = part.quads();
  for (std::int64_t n = 0; n < part.padded(); n += lanes()) {
    const std::int32_t* const panel = to + n / width * width * quads + n % width;
    auto sum = hn::Zero(d32);
    for (std::int64_t q = 0; q < quads; ++q) sum = hn::Add(sum, sum_of_bytes(hn::LoadU(d32, panel + q * width)));
    hn::StoreU(hn::Mul(sum, hn::Set(d32, -levels)), d32, starts + n);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_INT8_PACK_INL_H_
