// Packing the operands of gemm into panels. Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_GEMM_PACK_INL_H_
#undef ATTUNE_OPS_GEMM_PACK_INL_H_
#else
#define ATTUNE_OPS_GEMM_PACK_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "ops/gemm_blocks.h"
#include "ops/tile-inl.h"
#include "quant/nf4.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

using Eight = hn::CappedTag<float, 8>;

HWY_INLINE std::int64_t panel_columns() { return kPanelVectors * lanes(); }

// to[j * to_row + i] = from[i * from_row + j] for a square of as many rows and columns as Eight has lanes.
HWY_INLINE void transpose_square(float* HWY_RESTRICT to, std::int64_t to_row, const float* HWY_RESTRICT from,
                                 std::int64_t from_row) {
  const Eight d;
#if HWY_TARGET == HWY_SCALAR
  *to = *from, (void)d, (void)to_row, (void)from_row;
#else
  const hn::Repartition<std::uint64_t, Eight> d64;
  const auto row = [&](std::int64_t i) HWY_ATTR { return hn::LoadU(d, from + i * from_row); };
  const auto pair = [&](auto a, auto b, bool upper) HWY_ATTR {
    const auto x = hn::BitCast(d64, a), y = hn::BitCast(d64, b);
    return hn::BitCast(d, upper ? hn::InterleaveUpper(d64, x, y) : hn::InterleaveLower(d64, x, y));
  };
  // Four columns of four rows from each 128-bit part: columns 0..3 in the lower, 4..7 in the upper.
  const auto four = [&](std::int64_t first, auto& c0, auto& c1, auto& c2, auto& c3) HWY_ATTR {
    const auto r0 = row(first), r1 = row(first + 1), r2 = row(first + 2), r3 = row(first + 3);
    const auto low01 = hn::InterleaveLower(d, r0, r1), low23 = hn::InterleaveLower(d, r2, r3);
    const auto high01 = hn::InterleaveUpper(d, r0, r1), high23 = hn::InterleaveUpper(d, r2, r3);
    c0 = pair(low01, low23, false), c1 = pair(low01, low23, true);
    c2 = pair(high01, high23, false), c3 = pair(high01, high23, true);
  };
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0;
  four(0, a0, a1, a2, a3);
  if (hn::Lanes(d) == 4) {
    hn::StoreU(a0, d, to), hn::StoreU(a1, d, to + to_row);
    hn::StoreU(a2, d, to + 2 * to_row), hn::StoreU(a3, d, to + 3 * to_row);
    return;
  }
  auto b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  four(4, b0, b1, b2, b3);
  // In order, so that with to_row < 8 each line overwrites what the one before left behind its own end.
  const auto lower = [&](std::int64_t i, auto a, auto b)
                         HWY_ATTR { hn::StoreU(hn::ConcatLowerLower(d, b, a), d, to + i * to_row); };
  const auto upper = [&](std::int64_t i, auto a, auto b)
                         HWY_ATTR { hn::StoreU(hn::ConcatUpperUpper(d, b, a), d, to + i * to_row); };
  lower(0, a0, b0), lower(1, a1, b1), lower(2, a2, b2), lower(3, a3, b3);
  upper(4, a0, b0), upper(5, a1, b1), upper(6, a2, b2), upper(7, a3, b3);
#endif
}

// Panels of kPanel rows: to[(panel * length + offset + l) * kPanel + r] = a(row, begin + l); missing rows are 0.
HWY_INLINE void pack_left(float* HWY_RESTRICT to, std::int64_t length, const GemmTerm& term, const SumPiece& piece,
                          std::int64_t rows_begin, std::int64_t rows) {
  const auto* const a = static_cast<const float*>(term.a.data);
  const std::int64_t stride = term.a.stride;
  for (std::int64_t first = 0; first < rows; first += kPanel) {
    float* const panel = to + first * length + piece.offset * kPanel;
    const std::int64_t count = std::min(kPanel, rows - first);
    for (std::int64_t r = count; r < kPanel; ++r) {
      for (std::int64_t l = 0; l < piece.count; ++l) panel[l * kPanel + r] = 0.0f;
    }
    if (term.a_transposed) {
      for (std::int64_t l = 0; l < piece.count; ++l) {
        const float* const from = a + (piece.begin + l) * stride + rows_begin + first;
        for (std::int64_t r = 0; r < count; ++r) panel[l * kPanel + r] = from[r];
      }
      continue;
    }
    const float* const from = a + (rows_begin + first) * stride + piece.begin;
    std::int64_t l = 0;
    // Squares of 8 rows, of which the last two belong to the next panel: their values are overwritten by the next
    // line, so the last line of the piece is not made this way.
    if (hn::Lanes(Eight()) == 8 && rows_begin + first + 8 <= term.a.rows) {
      for (; l + 8 < piece.count; l += 8) transpose_square(panel + l * kPanel, kPanel, from + l, stride);
    }
    for (; l < piece.count; ++l) {
      for (std::int64_t r = 0; r < count; ++r) panel[l * kPanel + r] = from[r * stride + l];
    }
  }
}

// Stored elements [column, column + count) of row `row`, times the factor, in f32.
HWY_INLINE void read_stored(float* HWY_RESTRICT to, const RightOperand& b, std::int64_t row, std::int64_t column,
                            std::int64_t count) {
  if (b.weight.format == WeightFormat::kF32) {
    const float* const from = static_cast<const float*>(b.weight.data) + row * b.stride + column;
    for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, from + i), hn::Set(d, b.factor)), to + i);
    });
    return;
  }
  if (b.weight.format == WeightFormat::kBF16) {
    const bf16* const from = static_cast<const bf16*>(b.weight.data) + row * b.stride + column;
    for_lanes(0, count, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, from + i), hn::Set(d, b.factor)), to + i);
    });
    return;
  }
  decode_span(to, b.weight, row, column, count);
}

#if HWY_TARGET == HWY_AVX2
// 16 rows of one NF4 block each, from (row, column) of a weight whose rows are whole blocks, as a panel of 16 columns:
// to[l * 16 + r]. The codes are transposed as bytes, an eighth of what transposing the values would move.
HWY_INLINE void unpack_nf4_panel(float* HWY_RESTRICT to, const WeightMatrix& weight, std::int64_t row,
                                 std::int64_t column) {
  const hn::CappedTag<std::uint8_t, 32> d8;
  const F32 d;
  const hn::Rebind<std::uint32_t, F32> d32;
  const hn::Rebind<std::uint8_t, F32> eight_bytes;
  using Bytes = hn::Vec<decltype(d8)>;
  const auto* const codes = static_cast<const std::uint8_t*>(weight.data) + (row * weight.columns + column) / 2;
  Bytes v[16], w[16];
  for (int r = 0; r < 16; ++r) v[r] = hn::LoadU(d8, codes + r * (weight.columns / 2));
  // Four rounds of interleaving rows r and r + 8 transpose 16 x 16 bytes in each half of the vectors.
  const auto round = [&](const Bytes* from, Bytes* into) HWY_ATTR {
    for (int r = 0; r < 8; ++r) {
      into[2 * r] = hn::InterleaveLower(d8, from[r], from[r + 8]);
      into[2 * r + 1] = hn::InterleaveUpper(d8, from[r], from[r + 8]);
    }
  };
  round(v, w), round(w, v), round(v, w), round(w, v);
  alignas(32) std::uint8_t bytes[32 * 16];
  const hn::CappedTag<std::uint8_t, 16> d16;
  for (int j = 0; j < 16; ++j) {
    hn::Store(hn::LowerHalf(d16, v[j]), d16, bytes + j * 16);
    hn::Store(hn::UpperHalf(d16, v[j]), d16, bytes + (16 + j) * 16);
  }
  alignas(32) float scales[16];
  const std::int64_t blocks_per_row = weight.columns / kNf4Block;
  for (int r = 0; r < 16; ++r) nf4_scales(scales + r, weight, (row + r) * blocks_per_row + column / kNf4Block, 1);
  const auto low_values = hn::LoadU(d, kNf4Values.data()), high_values = hn::LoadU(d, kNf4Values.data() + 8);
  // Three bits choose within a half of the table, the fourth, moved to the sign, chooses the half.
  const auto look_up = [&](auto index, auto sign, auto scale) HWY_ATTR {
    const auto indices = hn::IndicesFromVec(d, hn::And(index, hn::Set(d32, 7u)));
    const auto value = hn::IfNegativeThenElse(hn::BitCast(d, sign), hn::TableLookupLanes(high_values, indices),
                                              hn::TableLookupLanes(low_values, indices));
    return hn::Mul(value, scale);
  };
  for (int half = 0; half < 2; ++half) {
    const auto scale = hn::Load(d, scales + 8 * half);
    for (int j = 0; j < 32; ++j) {
      const auto pair = hn::PromoteTo(d32, hn::LoadU(eight_bytes, bytes + j * 16 + 8 * half));
      float* const line = to + 32 * j + 8 * half;
      hn::Store(look_up(hn::ShiftRight<4>(pair), hn::ShiftLeft<24>(pair), scale), d, line);
      hn::Store(look_up(pair, hn::ShiftLeft<28>(pair), scale), d, line + 16);
    }
  }
}

HWY_INLINE bool unpacks_nf4(const RightOperand& b, const SumPiece& piece) {
  return b.weight.format == WeightFormat::kNF4 && b.weight.columns % kNf4Block == 0 && piece.begin % kNf4Block == 0 &&
         piece.count % kNf4Block == 0 && panel_columns() == 16;
}
#endif

// pack_right of a dense matrix that is not transposed: its rows are the lines of the panels.
template <typename T>
HWY_INLINE void pack_right_lines(float* HWY_RESTRICT to, std::int64_t length, const RightOperand& b,
                                 const SumPiece& piece, std::int64_t columns_begin, std::int64_t columns) {
  const F32 d;
  const std::int64_t width = panel_columns(), whole = columns / width * width;
  const auto factor = hn::Set(d, b.factor);
  for (std::int64_t l = 0; l < piece.count; ++l) {
    const T* const from = static_cast<const T*>(b.weight.data) + (piece.begin + l) * b.stride + columns_begin;
    float* const line = to + (piece.offset + l) * width;
    for (std::int64_t n = 0; n < whole; n += width) {
      for (std::int64_t i = 0; i < width; i += lanes()) {
        hn::Store(hn::Mul(load(d, from + n + i), factor), d, line + n * length + i);
      }
    }
    for (std::int64_t n = whole; n < columns || n % width != 0; ++n) {
      line[whole * length + n - whole] = n < columns ? hn::GetLane(load(OneF32(), from + n)) * b.factor : 0.0f;
    }
  }
}

// Panels of panel_columns() columns: to[(panel * length + offset + l) * width + n] = b(begin + l, column); columns
// past the end are 0. `rows` holds kMostLength * panel_columns() floats.
HWY_INLINE void pack_right(float* HWY_RESTRICT to, std::int64_t length, const RightOperand& b, const SumPiece& piece,
                           std::int64_t columns_begin, std::int64_t columns, float* HWY_RESTRICT rows) {
  const std::int64_t width = panel_columns(), square = static_cast<std::int64_t>(hn::Lanes(Eight()));
  if (!b.transposed) {
    if (b.weight.format == WeightFormat::kF32)
      return pack_right_lines<float>(to, length, b, piece, columns_begin, columns);
    if (b.weight.format == WeightFormat::kBF16)
      return pack_right_lines<bf16>(to, length, b, piece, columns_begin, columns);
    const std::int64_t padded = (columns + width - 1) / width * width;
    for (std::int64_t l = 0; l < piece.count; ++l) {
      read_stored(rows, b, piece.begin + l, columns_begin, columns);
      for (std::int64_t n = columns; n < padded; ++n) rows[n] = 0.0f;
      for (std::int64_t n = 0; n < padded; n += width) {
        float* const line = to + n * length + (piece.offset + l) * width;
        for (std::int64_t i = 0; i < width; i += lanes()) hn::Store(hn::LoadU(F32(), rows + n + i), F32(), line + i);
      }
    }
    return;
  }
  for (std::int64_t n = 0; n < columns; n += width) {
    float* const panel = to + n * length + piece.offset * width;
    const std::int64_t count = std::min(width, columns - n);
#if HWY_TARGET == HWY_AVX2
    if (count == width && unpacks_nf4(b, piece)) {
      for (std::int64_t l = 0; l < piece.count; l += kNf4Block) {
        unpack_nf4_panel(panel + l * width, b.weight, columns_begin + n, piece.begin + l);
      }
      continue;
    }
#endif
    for (std::int64_t c = 0; c < width; ++c) {
      float* const row = rows + c * kMostLength;
      if (c < count)
        read_stored(row, b, columns_begin + n + c, piece.begin, piece.count);
      else
        for (std::int64_t l = 0; l < piece.count; ++l) row[l] = 0.0f;
    }
    std::int64_t l = 0;
    for (; l + square <= piece.count; l += square) {
      for (std::int64_t c = 0; c < width; c += square) {
        transpose_square(panel + l * width + c, width, rows + c * kMostLength + l, kMostLength);
      }
    }
    for (; l < piece.count; ++l) {
      for (std::int64_t c = 0; c < width; ++c) panel[l * width + c] = rows[c * kMostLength + l];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_GEMM_PACK_INL_H_
