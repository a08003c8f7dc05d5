// The loops around the register tile: rows of a in L3, columns of b in L2, a panel of b in L1. Each thread takes a
// contiguous part of the longer side and packs what it needs itself. Who is done multiplies columns for those who are not,
// with their rows of a.
#include "ops/gemm.h"

#include <hwy/cache_control.h>
#include <hwy/targets.h>
#include <omp.h>

#include <array>
#include <optional>

#include "base/error.h"
#include "ops/gemm_blocks.h"
#include "ops/op_time.h"
#include "ops/scratch.h"
#include "ops/share.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/gemm_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

#ifndef ATTUNE_OPS_GEMM_PART
#define ATTUNE_OPS_GEMM_PART
struct GemmPart : ProductPart {
  Matrix c;
  std::span<const GemmTerm> terms;
  bool accumulate;
  float* workspace;  // null: the thread's scratch
  std::int64_t workspace_floats;
};

// Where a block of the left operand is read: panels of rows, packed or in the matrix itself.
struct LeftBlock {
  const float* data;
  std::int64_t next_row, row, step;  // from a panel's row to where another panel begins, and within a panel
  std::int64_t length;
};

// A pass over the columns: rows [row, row + rows) of the part, the summands of one group.
struct GemmStage {
  const GemmPart* part;
  Group group;
  std::array<LeftBlock, kGroupBlocks> left;
  std::int64_t row, rows;
  bool accumulate;
};
using GemmStages = SharedStages<GemmStage>;
#endif

namespace HWY_NAMESPACE {
namespace {

// c [kRows, panel] (+)= a panel of a times a panel of b, for at most kChain summands.
template <int kRows>
HWY_INLINE void multiply_chain(float* HWY_RESTRICT c, std::int64_t c_row, Broadcast a, const float* HWY_RESTRICT b,
                               std::int64_t length, bool accumulate) {
  const F32 d;
  const std::int64_t width = lanes();
  for (int r = 0; r < kRows; ++r) hwy::Prefetch(c + r * c_row);
  hn::Vec<F32> sums[kRows][kPanelVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  const float* HWY_RESTRICT at = a.data;
  const std::int64_t row = a.row, step = a.step;
#pragma GCC unroll 4
  for (std::int64_t l = 0; l < length; ++l) {
    hn::Vec<F32> from[kPanelVectors];
    for (int v = 0; v < kPanelVectors; ++v) from[v] = hn::Load(d, b + v * width);
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d, at[r * row]);
      for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = hn::MulAdd(factor, from[v], sums[r][v]);
    }
    at += step;
    b += kPanelVectors * width;
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kPanelVectors; ++v) {
      float* const to = c + r * c_row + v * width;
      hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, to), sums[r][v]) : sums[r][v], d, to);
    }
  }
}

// Sums of kChain products at a time: rounding grows with the length of a chain, and c is still in L1 for the next one.
template <int kRows>
HWY_NOINLINE void multiply_tile(float* HWY_RESTRICT c, std::int64_t c_row, Broadcast a, const float* HWY_RESTRICT b,
                                std::int64_t length, bool accumulate) {
  constexpr std::int64_t kChain = 128;
  for (std::int64_t begin = 0; begin < length; begin += kChain) {
    const Broadcast part{a.data + begin * a.step, a.row, a.step};
    multiply_chain<kRows>(c, c_row, part, b + begin * panel_columns(), std::min(kChain, length - begin),
                          accumulate || begin > 0);
  }
}

HWY_INLINE void multiply_tile_rows(float* c, std::int64_t c_row, Broadcast a, const float* b, std::int64_t rows,
                                   std::int64_t length, bool accumulate) {
  switch (rows) {
    case 1:
      return multiply_tile<1>(c, c_row, a, b, length, accumulate);
    case 2:
      return multiply_tile<2>(c, c_row, a, b, length, accumulate);
    case 3:
      return multiply_tile<3>(c, c_row, a, b, length, accumulate);
    case 4:
      return multiply_tile<4>(c, c_row, a, b, length, accumulate);
    case 5:
      return multiply_tile<5>(c, c_row, a, b, length, accumulate);
    default:
      return multiply_tile<6>(c, c_row, a, b, length, accumulate);
  }
}

HWY_INLINE Broadcast rows_of(const LeftBlock& left, std::int64_t first) {
  return {left.data + first * left.next_row, left.row, left.step};
}

// Rows [row, row + rows) and the packed columns [column, column + columns).
void multiply_block_of(const GemmPart& p, const LeftBlock& left, const float* right, std::int64_t row,
                       std::int64_t rows, std::int64_t column, std::int64_t columns, bool accumulate) {
  const std::int64_t width = panel_columns();
  alignas(64) float edge[kPanel * kPanelVectors * 16];
  for (std::int64_t outer = 0; outer < rows; outer += kLeftBlockRows) {
    const std::int64_t end = std::min(rows, outer + kLeftBlockRows);
    for (std::int64_t n = 0; n < columns; n += width) {
      const std::int64_t count = std::min(width, columns - n);
      for (std::int64_t r = outer; r < end; r += kPanel) {
        const std::int64_t panel_rows = std::min(kPanel, end - r);
        float* const c = static_cast<float*>(p.c.data) + (row + r) * p.c.stride + column + n;
        const float* const b = right + n * left.length;
        if (count == width) {
          multiply_tile_rows(c, p.c.stride, rows_of(left, r), b, panel_rows, left.length, accumulate);
          continue;
        }
        multiply_tile_rows(edge, width, rows_of(left, r), b, panel_rows, left.length, false);
        for (std::int64_t i = 0; i < panel_rows; ++i) {
          for (std::int64_t j = 0; j < count; ++j) {
            float& to = c[i * p.c.stride + j];
            to = accumulate ? to + edge[i * width + j] : edge[i * width + j];
          }
        }
      }
    }
  }
}

// A block of rows from `row` on in the left operand itself.
LeftBlock direct_rows(const GemmTerm& term, std::int64_t row, std::int64_t begin, std::int64_t length) {
  const std::int64_t row_step = term.a_transposed ? 1 : term.a.stride, step = term.a_transposed ? term.a.stride : 1;
  return {static_cast<const float*>(term.a.data) + row * row_step + begin * step, row_step, row_step, step, length};
}

void pack_right_block(const GemmPart& p, float* right, const SumBlock& block, std::int64_t column, std::int64_t columns,
                      float* rows) {
  for (std::int64_t i = 0; i < block.used; ++i) {
    const SumPiece& piece = block.pieces[static_cast<std::size_t>(i)];
    const RightOperand& b = p.terms[static_cast<std::size_t>(piece.term)].b;
    std::optional<OpTimer> timer;
    if (b.is_quantized()) timer.emplace(OpFamily::kDecode);
    pack_right(right, block.length, b, piece, column, columns, rows);
  }
}

// The part of thread `thread`, and then what others have left of theirs.
void gemm_part(const GemmPart& p, GemmStages& stages, int thread) {
  const std::int64_t width = panel_columns(), rows_of_part = p.row_end - p.row_begin;
  const std::int64_t right_columns = (kRightColumns + width - 1) / width * width;
  const bool direct = p.terms.size() == 1 && p.column_end - p.column_begin <= kFewColumns;
  std::int64_t length = 0;
  for (const GemmTerm& term : p.terms) length += term.b.length();
  // Fewer rows at a time when the given space is short, at least the kLeftBlockRows of one L2 block.
  const std::int64_t fixed = (right_columns + width) * kMostLength;
  const std::int64_t wanted_rows = even_rows(rows_of_part, kLeftRows, kPanel);
  const std::int64_t room = (p.workspace_floats - fixed) / kMostLength / kPanel * kPanel;
  const bool given = room >= std::min(wanted_rows, kLeftBlockRows);
  const std::int64_t row_step = direct  ? rows_of_part
                                : given ? even_rows(rows_of_part, std::min(room, kLeftRows), kPanel)
                                        : wanted_rows;
  const std::int64_t most_floats = given ? room * kMostLength : kLeftRows * kMostLength;
  const std::int64_t left_floats = direct ? 0 : std::min(most_floats, row_step * std::max(length, kMostLength));
  float* const right = given ? p.workspace : thread_scratch(static_cast<std::size_t>(fixed + left_floats));
  float* const rows = right + right_columns * kMostLength;
  float* const left = rows + width * kMostLength;
  const std::int64_t most_length = direct ? length : left_floats / row_step;
  const auto multiply = [&](const GemmStage& stage, std::int64_t unit, std::int64_t units) HWY_ATTR {
    const GemmPart& part = *stage.part;
    part.for_columns(unit, units, right_columns, [&](std::int64_t column, std::int64_t columns) HWY_ATTR {
      for (std::size_t g = 0; g < stage.group.used; ++g) {
        pack_right_block(part, right, stage.group.blocks[g], column, columns, rows);
        multiply_block_of(part, stage.left[g], right, stage.row, stage.rows, column, columns,
                          stage.accumulate || g > 0);
      }
    });
  };
  GemmStage stage;
  stage.part = &p;
  for (std::int64_t row = p.row_begin; row < p.row_end; row += row_step) {
    stage.row = row;
    stage.rows = std::min(row_step, p.row_end - row);
    SumBlocks blocks(p.terms);
    std::optional<SumBlock> pending;
    for (stage.accumulate = p.accumulate; next_group(stage.group, blocks, pending, most_length);
         stage.accumulate = true) {
      float* packed = left;
      for (std::size_t g = 0; g < stage.group.used; ++g) {
        const SumBlock& block = stage.group.blocks[g];
        if (direct) {
          stage.left[g] = direct_rows(p.terms[0], row, block.pieces[0].begin, block.length);
          continue;
        }
        stage.left[g] = {packed, block.length, 1, kPanel, block.length};
        for (std::int64_t i = 0; i < block.used; ++i) {
          const SumPiece& piece = block.pieces[static_cast<std::size_t>(i)];
          pack_left(packed, block.length, p.terms[static_cast<std::size_t>(piece.term)], piece, row, stage.rows);
        }
        packed += row_step * block.length;
      }
      stages.work(thread, stage, p.units(), right_columns / ProductPart::kUnitColumns, multiply);
    }
  }
  stages.help(multiply);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(gemm_part);

RightOperand RightOperand::of(const Matrix& dense, bool transposed, float factor) {
  RightOperand b;
  b.weight.format = dense.dtype == DType::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16;
  b.weight.rows = dense.rows;
  b.weight.columns = dense.columns;
  b.weight.data = dense.data;
  b.stride = dense.stride;
  b.transposed = transposed;
  b.factor = factor;
  return b;
}

RightOperand RightOperand::of(const WeightMatrix& weight, bool transposed) {
  return {weight, weight.columns, transposed, 1.0f};
}

bool gemm_is_fastest() {
#if defined(__x86_64__)
  return (hwy::SupportedTargets() & (HWY_AVX3 | HWY_AVX3_DL)) == 0;
#else
  return true;
#endif
}

void gemm(const Matrix& c, std::span<const GemmTerm> terms, bool accumulate, TensorView workspace) {
  for (const GemmTerm& term : terms) {
    const std::int64_t rows = term.a_transposed ? term.a.columns : term.a.rows;
    const std::int64_t length = term.a_transposed ? term.a.rows : term.a.columns;
    if (rows != c.rows || length != term.b.length() || term.b.columns() != c.columns || c.dtype != DType::kF32 ||
        term.a.dtype != DType::kF32) {
      throw InternalError("[gemm] shapes or types do not fit: c {}x{}, a {}x{}, b {}x{}", c.rows, c.columns, rows,
                          length, term.b.length(), term.b.columns());
    }
  }
  const ProductCut cut(c.rows, c.columns);
  // Shares are whole cache lines: aligned for any vector, and no two threads write to one line.
  constexpr std::uintptr_t kLine = 64;
  const auto address = reinterpret_cast<std::uintptr_t>(workspace.data),
             aligned = (address + kLine - 1) / kLine * kLine;
  const auto floats = (static_cast<std::int64_t>(workspace.bytes()) - static_cast<std::int64_t>(aligned - address)) / 4;
  const std::int64_t share = std::max<std::int64_t>(0, floats) / cut.parts() / 16 * 16;
  auto* const space = reinterpret_cast<float*>(aligned);
  cut.for_parts<GemmStage>([&](std::int64_t i, const ProductPart& part, GemmStages& stages, int thread) {
    const GemmPart p{part, c, terms, accumulate, space + i * share, share};
    HWY_DYNAMIC_DISPATCH(gemm_part)(p, stages, thread);
  });
}

}  // namespace attune
#endif  // HWY_ONCE
