// The loops are those of gemm.cc; a block of 512 summands ends in f32, times the scales of its row and column.
#include "ops/int8_gemm.h"

#include <hwy/cache_control.h>
#include <omp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "ops/check.h"
#include "ops/gemm_blocks.h"
#include "ops/op_time.h"
#include "ops/parallel.h"
#include "ops/scratch.h"
#include "ops/share.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/int8_gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/int8_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_INT8_PART
#define ATTUNE_OPS_INT8_PART
// A part of c = (or +=) a b, where b is the weight, transposed in the forward product. `scales` are the weight rows'.
struct Int8Part : ProductPart {
  TensorView c;
  const Matrix& a;
  const WeightMatrix& weight;
  const float* scales;
  bool transposed, accumulate;
};

// A pass over the columns: rows [row, row + rows) of the part, the summands [begin, begin + count), with their codes of a
// and the scales of the rows.
struct Int8Stage {
  const Int8Part* part;
  std::int64_t row, rows, begin, count;
  const std::int32_t* left;
  const float* row_scales;
};
using Int8Stages = SharedStages<Int8Stage>;
#endif

namespace HWY_NAMESPACE {
namespace {

// A panel of b: its codes, what its columns' sums begin with, and their scales.
struct RightCodes {
  const std::int32_t *codes, *starts;
  const float* scales;
};

// The sums of four products in each lane, of unsigned bytes of a and signed ones of b.
#if HWY_TARGET == HWY_AVX2
HWY_INLINE hn::Vec<I32> products_of_bytes(hn::Vec<I32> a, hn::Vec<I32> b) {
  return {_mm256_madd_epi16(_mm256_maddubs_epi16(a.raw, b.raw), _mm256_set1_epi16(1))};
}
#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
HWY_INLINE hn::Vec<I32> products_of_bytes(hn::Vec<I32> a, hn::Vec<I32> b) {
  return {_mm512_madd_epi16(_mm512_maddubs_epi16(a.raw, b.raw), _mm512_set1_epi16(1))};
}
#endif

// c [kRows, panel] (+)= the products of a panel of a and one of b, times the scales of row and column. Where no
// instruction multiplies bytes, they are multiplied in f32, in which sums of 512 products of two such codes are exact too.
template <int kRows>
HWY_NOINLINE void multiply_codes(float* HWY_RESTRICT c, std::int64_t c_row, const std::int32_t* HWY_RESTRICT a,
                                 const RightCodes& right, std::int64_t quads, const float* row_scales,
                                 bool accumulate) {
  const F32 d;
  const I32 d32;
  const std::int64_t width = lanes();
  const std::int32_t* HWY_RESTRICT b = right.codes;
  for (int r = 0; r < kRows && accumulate; ++r) hwy::Prefetch(c + r * c_row);
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  hn::Vec<I32> sums[kRows][kPanelVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::LoadU(d32, right.starts + v * width);
  }
#pragma GCC unroll 4
  for (std::int64_t q = 0; q < quads; ++q) {
    hn::Vec<I32> from[kPanelVectors];
    for (int v = 0; v < kPanelVectors; ++v) from[v] = hn::Load(d32, b + v * width);
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d32, a[r]);
      for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::Add(sums[r][v], products_of_bytes(factor, from[v]));
    }
    a += kPanel;
    b += kPanelVectors * width;
  }
  const auto to_f32 = [d](hn::Vec<I32> sum) HWY_ATTR { return hn::ConvertTo(d, sum); };
#else
  hn::Vec<F32> sums[kRows][kPanelVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::ConvertTo(d, hn::LoadU(d32, right.starts + v * width));
  }
  for (std::int64_t q = 0; q < quads; ++q) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(a);
    for (int i = 0; i < 4; ++i) {
      hn::Vec<F32> from[kPanelVectors];
      for (int v = 0; v < kPanelVectors; ++v) {
        from[v] = hn::ConvertTo(d, hn::ShiftRight<24>(hn::ShiftLeftSame(hn::Load(d32, b + v * width), 24 - 8 * i)));
      }
      for (int r = 0; r < kRows; ++r) {
        const auto factor = hn::Set(d, static_cast<float>(bytes[4 * r + i]));
        for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::MulAdd(factor, from[v], sums[r][v]);
      }
    }
    a += kPanel;
    b += kPanelVectors * width;
  }
  const auto to_f32 = [](hn::Vec<F32> sum) HWY_ATTR { return sum; };
#endif
#pragma GCC unroll 6  // else the sums live in memory, and the loop above stores them again and again
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) {
      float* const to = c + r * c_row + v * width;
      const auto scale = hn::Mul(hn::Set(d, row_scales[r]), hn::LoadU(d, right.scales + v * width));
      const auto product = hn::Mul(to_f32(sums[r][v]), scale);
      hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, to), product) : product, d, to);
    }
  }
}

HWY_INLINE void multiply_code_rows(float* c, std::int64_t c_row, const std::int32_t* a, const RightCodes& right,
                                   std::int64_t rows, std::int64_t quads, const float* row_scales, bool accumulate) {
  switch (rows) {
    case 1:
      return multiply_codes<1>(c, c_row, a, right, quads, row_scales, accumulate);
    case 2:
      return multiply_codes<2>(c, c_row, a, right, quads, row_scales, accumulate);
    case 3:
      return multiply_codes<3>(c, c_row, a, right, quads, row_scales, accumulate);
    case 4:
      return multiply_codes<4>(c, c_row, a, right, quads, row_scales, accumulate);
    case 5:
      return multiply_codes<5>(c, c_row, a, right, quads, row_scales, accumulate);
    default:
      return multiply_codes<6>(c, c_row, a, right, quads, row_scales, accumulate);
  }
}

// The buffers of one part, in the thread's scratch.
struct CodeBuffers {
  std::int32_t *left, *right, *starts;
  float *row_scales, *column_scales, *floats;
  std::int8_t* codes;
};

CodeBuffers code_buffers(std::int64_t right_columns, std::int64_t width) {
  constexpr std::int64_t kQuads = kInt8Block / 4;
  const std::int64_t left = kLeftRows * kQuads, right = right_columns * kQuads;
  const std::int64_t codes = std::max(width * kInt8Block, 4 * right_columns) / 4;
  const std::int64_t floats = std::max(right_columns, kInt8Block);
  float* at = thread_scratch(static_cast<std::size_t>(left + right + codes + 2 * right_columns + floats + kLeftRows));
  CodeBuffers buffers;
  buffers.left = reinterpret_cast<std::int32_t*>(at);
  buffers.right = reinterpret_cast<std::int32_t*>(at += left);
  buffers.codes = reinterpret_cast<std::int8_t*>(at += right);
  buffers.starts = reinterpret_cast<std::int32_t*>(at += codes);
  buffers.column_scales = at += right_columns;
  buffers.floats = at += right_columns;
  buffers.row_scales = at += floats;
  return buffers;
}

void multiply_packed(const Int8Stage& stage, const CodeBuffers& buffers, std::int64_t column, std::int64_t columns) {
  const Int8Part& p = *stage.part;
  const std::int64_t row = stage.row, rows = stage.rows, quads = (stage.count + 3) / 4;
  const bool accumulate = p.accumulate || stage.begin > 0;
  const std::int64_t width = panel_columns(), stride = p.c.columns();
  alignas(64) float edge[kPanel * kPanelVectors * 16];
  for (std::int64_t outer = 0; outer < rows; outer += kLeftBlockRows) {
    const std::int64_t end = std::min(rows, outer + kLeftBlockRows);
    for (std::int64_t n = 0; n < columns; n += width) {
      const std::int64_t count = std::min(width, columns - n);
      const RightCodes right{buffers.right + n * quads, buffers.starts + n, buffers.column_scales + n};
      for (std::int64_t r = outer; r < end; r += kPanel) {
        const std::int64_t panel_rows = std::min(kPanel, end - r);
        float* const c = p.c.as<float>() + (row + r) * stride + column + n;
        const bool whole = count == width;
        multiply_code_rows(whole ? c : edge, whole ? stride : width, stage.left + r * quads, right, panel_rows, quads,
                           stage.row_scales + r, whole && accumulate);
        for (std::int64_t i = 0; i < panel_rows && !whole; ++i) {
          for (std::int64_t j = 0; j < count; ++j) {
            float& to = c[i * stride + j];
            to = accumulate ? to + edge[i * width + j] : edge[i * width + j];
          }
        }
      }
    }
  }
}

// The part of thread `thread`, and then what others have left of theirs.
void int8_part(const Int8Part& p, Int8Stages& stages, int thread) {
  const std::int64_t width = panel_columns(), right_columns = (kRightColumns + width - 1) / width * width;
  const std::int64_t length = p.a.columns;
  const std::int32_t levels = code_levels(p.weight.format).activations;
  const CodeBuffers buffers = code_buffers(right_columns, width);
  const auto multiply = [&](const Int8Stage& stage, std::int64_t unit, std::int64_t units) HWY_ATTR {
    const Int8Part& part = *stage.part;
    part.for_columns(unit, units, right_columns, [&](std::int64_t column, std::int64_t columns) HWY_ATTR {
      {
        const OpTimer timer(OpFamily::kDecode);
        pack_right_codes(buffers.right, buffers.starts, levels,
                         {part.weight, part.scales, stage.begin, stage.count, column, columns}, part.transposed,
                         buffers.codes, buffers.floats);
      }
      for (std::int64_t n = 0; n < columns; ++n)
        buffers.column_scales[n] = part.transposed ? part.scales[column + n] : 1.0f;
      for (std::int64_t n = columns; n % width != 0; ++n) buffers.column_scales[n] = 0.0f;
      multiply_packed(stage, buffers, column, columns);
    });
  };
  const std::int64_t row_step = even_rows(p.row_end - p.row_begin, kLeftRows, kPanel);
  for (std::int64_t row = p.row_begin; row < p.row_end; row += row_step) {
    const std::int64_t rows = std::min(row_step, p.row_end - row);
    for (std::int64_t begin = 0; begin < length; begin += kInt8Block) {
      const std::int64_t count = std::min(kInt8Block, length - begin);
      pack_left_codes(buffers.left, buffers.row_scales, levels, static_cast<const float*>(p.a.data) + row * p.a.stride,
                      p.a.stride, p.transposed ? nullptr : p.scales, rows, begin, count, buffers.floats);
      const Int8Stage stage{&p, row, rows, begin, count, buffers.left, buffers.row_scales};
      stages.work(thread, stage, p.units(), right_columns / ProductPart::kUnitColumns, multiply);
    }
  }
  stages.help(multiply);
}

// The largest magnitude of a row, of NF4 its largest scale; blocks of it may straddle rows: those at the ends count for
// both.
float largest_of_row(const WeightMatrix& weight, std::int64_t row) {
  if (weight.format == WeightFormat::kBF16) {
    const auto* const bits = static_cast<const std::uint16_t*>(weight.data) + row * weight.columns;
    std::int16_t most = 0;  // magnitudes are in the order of their bits
    for (std::int64_t i = 0; i < weight.columns; ++i) {
      most = std::max(most, static_cast<std::int16_t>(bits[i] & 0x7FFF));
    }
    return std::bit_cast<float>(static_cast<std::uint32_t>(most) << 16);
  }
  constexpr std::int64_t kChunk = 1024;
  const bool nf4 = weight.format == WeightFormat::kNF4;
  const std::int64_t first = nf4 ? row * weight.columns / kNf4Block : 0;
  const std::int64_t last = nf4 ? ((row + 1) * weight.columns + kNf4Block - 1) / kNf4Block : weight.columns;
  float chunk[kChunk], most = 0.0f;
  for (std::int64_t at = first; at < last; at += kChunk) {
    const std::int64_t count = std::min(kChunk, last - at);
    if (nf4) {
      nf4_scales(chunk, weight, at, count);
    } else {
      decode_span(chunk, weight, row, at, count);
    }
    most = std::max(most, largest_magnitude(chunk, count));
  }
  return most;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(int8_part);
HWY_EXPORT(largest_of_row);

// Neither the pairs nor the f32 sums of a block lose anything.
constexpr bool sums_are_exact(CodeLevels levels) {
  return 2 * (2 * levels.activations) * levels.weights <= 32767 &&
         kInt8Block * (2 * levels.activations) * levels.weights <= 1 << 24;
}
static_assert(sums_are_exact(code_levels(WeightFormat::kInt8)) && sums_are_exact(code_levels(WeightFormat::kNF4)));

void int8_row_scales(float* scales, const WeightMatrix& weight, std::int32_t largest_code) {
  constexpr std::int64_t kRows = 16;
  parallel_ranges(weight.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      scales[row] = weight.format == WeightFormat::kInt8
                        ? weight.row_scales[row]
                        : HWY_DYNAMIC_DISPATCH(largest_of_row)(weight, row) / static_cast<float>(largest_code);
    }
  });
}

namespace {

void run(const char* where, TensorView c, const Matrix& a, const WeightMatrix& weight, bool transposed, bool accumulate,
         TensorView workspace) {
  require_f32(where, {c});
  require(a.dtype == DType::kF32, where, "operands in f32");
  const std::int64_t inputs = transposed ? weight.columns : weight.rows,
                     outputs = transposed ? weight.rows : weight.columns;
  require(a.columns == inputs && c.columns() == outputs && a.rows == c.rows(), where, "shapes that fit the weight");
  require(workspace.bytes() >= static_cast<std::size_t>(weight.rows) * sizeof(float), where,
          "room for a scale per row");
  auto* const scales = static_cast<float*>(workspace.data);
  int8_row_scales(scales, weight, code_levels(weight.format).weights);
  const ProductCut cut(c.rows(), outputs);
  cut.for_parts<Int8Stage>([&](std::int64_t, const ProductPart& part, Int8Stages& stages, int thread) {
    const Int8Part p{part, c, a, weight, scales, transposed, accumulate};
    HWY_DYNAMIC_DISPATCH(int8_part)(p, stages, thread);
  });
}

}  // namespace

void int8_forward(TensorView y, const Matrix& x, const WeightMatrix& weight, bool accumulate, TensorView workspace) {
  run("int8_forward", y, x, weight, true, accumulate, workspace);
}

void int8_backward_input(TensorView dx, const Matrix& dy, const WeightMatrix& weight, bool accumulate,
                         TensorView workspace) {
  run("int8_backward_input", dx, dy, weight, false, accumulate, workspace);
}

}  // namespace attune
#endif  // HWY_ONCE
