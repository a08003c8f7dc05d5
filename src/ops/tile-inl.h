// Products of small f32 tiles that stay in cache, the arithmetic of attention.cc and attention_backward.cc.
// Included once per Highway target, hence the toggled guard.
#if defined(ATTUNE_OPS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTUNE_OPS_TILE_INL_H_
#undef ATTUNE_OPS_TILE_INL_H_
#else
#define ATTUNE_OPS_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {

// Rows of a panel: 6 x 2 sums, two vectors of b and one of a fill the 16 registers of AVX2.
constexpr std::int64_t kPanel = 6;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr int kPanelVectors = 4;  // of 32 registers
#else
constexpr int kPanelVectors = 2;
#endif

HWY_INLINE std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(F32())); }
HWY_INLINE std::int64_t round_up_to_lanes(std::int64_t n) { return (n + lanes() - 1) / lanes() * lanes(); }
HWY_INLINE std::int64_t round_down_to_lanes(std::int64_t n) { return n / lanes() * lanes(); }

// A matrix read one element at a time: element (r, l) is data[r * row + l * step], so a transposed one costs
// the same.
struct Broadcast {
  const float* data;
  std::int64_t row, step;
};

template <int kRows, int kVectors>
HWY_INLINE void multiply_block(float* HWY_RESTRICT c, std::int64_t c_row, Broadcast a, const float* HWY_RESTRICT b,
                               std::int64_t b_row, std::int64_t length, bool accumulate) {
  const F32 d;
  const std::int64_t width = lanes();
  hn::Vec<F32> sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = accumulate ? hn::Load(d, c + r * c_row + v * width) : hn::Zero(d);
    }
  }
  for (std::int64_t l = 0; l < length; ++l) {
    hn::Vec<F32> from[kVectors];
    for (int v = 0; v < kVectors; ++v) from[v] = hn::Load(d, b + l * b_row + v * width);
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d, a.data[r * a.row + l * a.step]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(factor, from[v], sums[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) hn::Store(sums[r][v], d, c + r * c_row + v * width);
  }
}

template <int kRows>
HWY_NOINLINE void multiply_rows(float* HWY_RESTRICT c, std::int64_t c_row, Broadcast a, const float* HWY_RESTRICT b,
                                std::int64_t b_row, std::int64_t columns, std::int64_t length, bool accumulate) {
  const std::int64_t wide = kPanelVectors * lanes();
  std::int64_t column = 0;
  for (; column + wide <= columns; column += wide) {
    multiply_block<kRows, kPanelVectors>(c + column, c_row, a, b + column, b_row, length, accumulate);
  }
  for (; column < columns; column += lanes()) {
    multiply_block<kRows, 1>(c + column, c_row, a, b + column, b_row, length, accumulate);
  }
}

// c [rows, columns] = a [rows, length] b [length, columns], plus c when accumulate. rows <= kPanel; columns a
// multiple of Lanes, the rows of b and c aligned to a vector. Every element sums over `length` in order.
HWY_INLINE void multiply_panel(float* c, std::int64_t c_row, Broadcast a, const float* b, std::int64_t b_row,
                               std::int64_t rows, std::int64_t columns, std::int64_t length, bool accumulate) {
  switch (rows) {
    case 1:
      return multiply_rows<1>(c, c_row, a, b, b_row, columns, length, accumulate);
    case 2:
      return multiply_rows<2>(c, c_row, a, b, b_row, columns, length, accumulate);
    case 3:
      return multiply_rows<3>(c, c_row, a, b, b_row, columns, length, accumulate);
    case 4:
      return multiply_rows<4>(c, c_row, a, b, b_row, columns, length, accumulate);
    case 5:
      return multiply_rows<5>(c, c_row, a, b, b_row, columns, length, accumulate);
    default:
      return multiply_rows<6>(c, c_row, a, b, b_row, columns, length, accumulate);
  }
}

// to [rows, width] = factor * from [rows, columns] whose rows lie `stride` apart; the columns up to width
// become 0.
template <typename T>
void copy_rows(float* to, std::int64_t width, const T* from, std::int64_t stride, std::int64_t rows,
               std::int64_t columns, float factor) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* in = from + r * stride;
    float* out = to + r * width;
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, in + i), hn::Set(d, factor)), out + i);
    });
    for (std::int64_t i = columns; i < width; ++i) out[i] = 0.0f;
  }
}

// to [columns, width] = factor * transpose of from [rows, columns]; the columns of `to` from rows on keep
// their values.
HWY_INLINE void copy_transposed(float* HWY_RESTRICT to, std::int64_t width, const float* HWY_RESTRICT from,
                                std::int64_t stride, std::int64_t rows, std::int64_t columns, float factor) {
  for (std::int64_t i = 0; i < columns; ++i) {
    for (std::int64_t r = 0; r < rows; ++r) to[i * width + r] = factor * from[r * stride + i];
  }
}

// to [rows, columns], rows `stride` apart, = factor * from [rows, width].
template <typename T>
void write_rows(T* to, std::int64_t stride, const float* from, std::int64_t width, std::int64_t rows,
                std::int64_t columns, float factor) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* in = from + r * width;
    T* out = to + r * stride;
    for_lanes(0, columns, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, in + i), hn::Set(d, factor)), out + i);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#endif  // ATTUNE_OPS_TILE_INL_H_
