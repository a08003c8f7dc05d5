// The loops around the tile: packed columns of b in L2, of which 32 at a time pass by 32 packed rows of a in L1, one block of
// the sum after the other.
#include "ops/bf16_gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "ops/bf16_pack.h"
#include "ops/bf16_tile.h"
#include "ops/gemm_blocks.h"
#include "ops/int8_gemm.h"
#include "ops/scratch.h"
#include "ops/tile_codes.h"
#include "quant/nf4.h"

namespace attune {
namespace {

constexpr std::int64_t kTermBlock = 448;               // of a block of a term
constexpr std::int64_t kCodeBlock = 2 * kTermBlock;    // of one in 8 bits: as many bytes, its scales beside them
constexpr std::int64_t kMostBlock = 480;               // with another term: 32 rows take two thirds of L1
constexpr std::int64_t kRightElements = 1 << 19;       // of packed columns: half of L2
constexpr std::int64_t kMostColumns = 512;             // of a unit
constexpr std::int64_t kLeastColumns = 192;            // of a unit whose whole sum fits into kRightElements
constexpr std::int64_t kLongElements = 3 << 17;        // of packed columns of longer sums, beside partial ones
constexpr std::int64_t kLongColumns = 256;             // of a unit of those
constexpr std::int64_t kLongRows = 512;                // of a pass of those
constexpr std::int64_t kHotTiles = 4;                  // sums of them stay in L1
constexpr std::int64_t kSharedElements = 1 << 20;      // of packed operands where no workspace is given
constexpr std::int64_t kRowColumns = 2 * kFewColumns;  // up to here threads share out the rows, not the columns
constexpr std::int64_t kBf16Bytes = sizeof(bf16);
constexpr std::int64_t kTileSums = kBf16Tile * kBf16Tile;

struct Bf16Product {
  const Matrix& c;
  bool c_transposed;
  std::span<const GemmTerm> terms;
  std::vector<SumBlock>& blocks;
  std::int64_t rows, columns;
  bool accumulate;
  float scale;
  std::int64_t length = 0, longest = 0;  // of the padded sum, in bf16, and of its blocks
  bool streamed = false;                 // c goes past the caches
  std::int64_t code_term = -1;           // which is multiplied in 8 bits
  const float* row_scales = nullptr;     // of its weight

  // Whether enough packed columns fit into L2 with their whole sum; how much of them is packed at a time.
  bool in_one_group() const { return length * kLeastColumns <= kRightElements; }
  std::int64_t group_elements() const { return in_one_group() ? kRightElements : kLongElements; }
  const GemmTerm& term(const SumPiece& piece) const { return terms[static_cast<std::size_t>(piece.term)]; }
  // Such a block has one piece.
  bool in_codes(const SumBlock& block) const { return block.pieces[0].term == code_term; }

  // The tile at (row, column) becomes what `sums` say.
  void write(std::int64_t row, std::int64_t column, const float* sums) const {
    if (streamed) {
      stream_bf16_tile(c, row, column, sums, scale);
    } else if (c_transposed) {
      write_transposed_bf16_tile(c, column, row, sums, scale, accumulate);
    } else {
      write_bf16_tile(c, row, column, sums, scale, accumulate);
    }
  }
};

std::span<const SumPiece> pieces_of(const SumBlock& block) {
  return std::span(block.pieces).first(static_cast<std::size_t>(block.used));
}

// Packed operands that all threads read: in the workspace where that is large enough, else behind the first thread's own
// scratch of `own` floats.
class Shared {
 public:
  Shared(TensorView workspace, std::int64_t elements) : elements_(elements) {
    constexpr std::size_t kLine = 64;
    void* start = workspace.data;
    std::size_t room = workspace.bytes();
    if (start != nullptr &&
        std::align(kLine, static_cast<std::size_t>(elements) * sizeof(bf16), start, room) != nullptr)
      given_ = static_cast<bf16*>(start);
  }
  // Called by every thread of a parallel region; returns the thread's own scratch.
  float* enter(std::int64_t own) {
    const bool first = omp_get_thread_num() == 0 && given_ == nullptr;
    float* const scratch = thread_scratch(static_cast<std::size_t>(own + (first ? (elements_ + 1) / 2 : 0)));
    if (omp_get_thread_num() == 0) data = given_ != nullptr ? given_ : reinterpret_cast<bf16*>(scratch + own);
#pragma omp barrier
    return scratch;
  }

  bf16* data = nullptr;

 private:
  bf16* given_ = nullptr;
  std::int64_t elements_;
};

// Blocks of equal lengths; a short term joins the one before it.
void cut_sum(Bf16Product& p) {
  for (std::size_t t = 0; t < p.terms.size(); ++t) {
    const bool codes = static_cast<std::int64_t>(t) == p.code_term;
    const std::int64_t length = p.terms[t].b.length();
    // Cuts between NF4 blocks, since whole ones expand fastest.
    const std::int64_t step = codes ? code_block(length) : even_rows(length, kTermBlock, kNf4Block);
    for (std::int64_t begin = 0; begin < length; begin += step) {
      const std::int64_t count = std::min(step, length - begin);
      const std::int64_t padded = codes ? packed_codes(count) / (kBf16Tile * kBf16Bytes) : tiles_of(count) * kBf16Tile;
      if (p.blocks.empty() || codes || p.in_codes(p.blocks.back()) || p.blocks.back().length + padded > kMostBlock ||
          p.blocks.back().used == std::ssize(p.blocks.back().pieces)) {
        p.blocks.emplace_back();
      }
      SumBlock& block = p.blocks.back();
      block.pieces[static_cast<std::size_t>(block.used++)] = {static_cast<std::int64_t>(t), begin, count, block.length};
      block.length += padded;
      p.length += padded;
      p.longest = std::max(p.longest, block.length);
    }
  }
}

// The blocks [begin, end) of a sum, and how long they are together.
struct BlockRun {
  std::size_t begin, end;
  std::int64_t length;
};

// As many of the blocks [begin, end) as are together at most `most` long.
BlockRun blocks_within(const Bf16Product& p, std::size_t begin, std::size_t end, std::int64_t most) {
  BlockRun run{begin, begin, 0};
  while (run.end < end && run.length + p.blocks[run.end].length <= most) run.length += p.blocks[run.end++].length;
  return run;
}

// Codes lie where bf16 would.
std::int8_t* as_codes(bf16* packed) { return reinterpret_cast<std::int8_t*>(packed); }
const std::int8_t* as_codes(const bf16* packed) { return reinterpret_cast<const std::int8_t*>(packed); }

void pack_rows(const Bf16Product& p, bf16* to, const SumBlock& block, std::int64_t row) {
  if (p.in_codes(block)) {
    const SumPiece& piece = block.pieces[0];
    const GemmTerm& term = p.term(piece);
    return pack_code_rows(as_codes(to), term.a, term.b.transposed ? nullptr : p.row_scales, row, piece.begin,
                          piece.count);
  }
  for (const SumPiece& piece : pieces_of(block)) {
    pack_bf16_left(to + piece.offset * kBf16Tile, p.term(piece), row, piece.begin, piece.count);
  }
}

void pack_columns(const Bf16Product& p, bf16* to, const SumBlock& block, std::int64_t column, std::int64_t tiles) {
  const std::int64_t panel = block.length * kBf16Tile;
  if (p.in_codes(block)) {
    const SumPiece& piece = block.pieces[0];
    return pack_code_columns(as_codes(to), panel * kBf16Bytes, p.term(piece).b, p.row_scales, column, tiles,
                             piece.begin, piece.count);
  }
  for (const SumPiece& piece : pieces_of(block)) {
    pack_bf16_right(to + piece.offset * kBf16Tile, panel, p.term(piece).b, column, tiles, piece.begin, piece.count);
  }
}

// ---- Many columns: all threads pack rows [row, row + rows) together, of as much of the sum as finds room; then each takes
// columns, packs them, and multiplies them with all rows. Where rows find none, each thread packs them for its columns, 32
// at a time.

struct Pass {
  std::int64_t row, rows;
  BlockRun blocks;
  const bf16* left;  // panels of 32 rows, each as long as the blocks; or null
};

// A thread's own.
struct ColumnScratch {
  bf16 *left, *right;  // a block of 32 rows; a group's blocks of columns, each [columns / 32, steps]
  float* partial;      // a unit's sums, where all of a pass is multiplied at once

  static constexpr std::int64_t kLeft = kMostBlock * kBf16Tile;
  static constexpr std::int64_t kFloats = (kLeft + kRightElements) / 2 + kLongRows * kLongColumns;
  explicit ColumnScratch(float* floats)
      : left(reinterpret_cast<bf16*>(floats)), right(left + kLeft), partial(floats + (kLeft + kRightElements) / 2) {}
};

// Columns that a thread takes at once, in tiles, and their sums so far: [rows / 32, count, 32, 32] where the pass is not
// finished in one group of blocks, else those of a row.
struct Unit {
  std::int64_t first, count;
  float* partial;
};

// The unit with a group of the pass's blocks, whose packed rows begin at `offset`.
void multiply_group(const Bf16Product& p, const Pass& pass, const Unit& unit, const BlockRun& group,
                    std::int64_t offset, const ColumnScratch& scratch, const Bf16Multiplier& multiplier) {
  const std::int64_t first = unit.first, count = unit.count;
  bf16* right = scratch.right;
  for (std::size_t b = group.begin; b < group.end; ++b) {
    pack_columns(p, right, p.blocks[b], first * kBf16Tile, count);
    right += count * p.blocks[b].length * kBf16Tile;
  }
  const bool whole = group.begin == 0 && group.end == p.blocks.size();
  for (std::int64_t r = 0; r < tiles_of(pass.rows); ++r) {
    const std::int64_t row = pass.row + r * kBf16Tile;
    const bf16 *coming = nullptr, *coming_end = nullptr;  // the same blocks of the next 32 rows
    if (pass.left != nullptr && r + 1 < tiles_of(pass.rows)) {
      coming = pass.left + (r + 1) * kBf16Tile * pass.blocks.length + offset;
      coming_end = coming + group.length * kBf16Tile;
    }
    const std::int64_t step = pass.left == nullptr ? count : kHotTiles;  // rows are packed here once for all columns
    for (std::int64_t hot = 0; hot < count; hot += step) {
      const std::int64_t hot_end = std::min(count, hot + step);
      float* const sums = unit.partial + (whole ? 0 : (r * count + hot) * kTileSums);
      const auto write = [&](std::int64_t n) { p.write(row, (first + n) * kBf16Tile, sums + (n - hot) * kTileSums); };
      const bf16 *right_block = scratch.right,
                 *left = pass.left == nullptr ? nullptr : pass.left + r * kBf16Tile * pass.blocks.length + offset;
      for (std::size_t b = group.begin; b < group.end; ++b) {
        const std::int64_t panel = p.blocks[b].length * kBf16Tile;
        if (pass.left == nullptr) {
          pack_rows(p, scratch.left, p.blocks[b], row);
          left = scratch.left;
        }
        const bool last = b + 1 == p.blocks.size();
        const std::int64_t steps = p.blocks[b].length / kBf16Tile, fetched = steps * Bf16Multiplier::kFetchedPerStep;
        if (p.in_codes(p.blocks[b])) {
          multiplier.multiply_codes(sums, as_codes(left), as_codes(right_block + hot * panel), panel * kBf16Bytes,
                                    hot_end - hot, steps, b > 0, coming < coming_end ? coming : nullptr);
          if (coming < coming_end) coming += (hot_end - hot) * fetched;
          for (std::int64_t n = hot; n < hot_end && last; ++n) write(n);
        } else {
          for (std::int64_t n = hot; n < hot_end; ++n) {
            multiplier.multiply(sums + (n - hot) * kTileSums, kBf16Tile, Bf16Left::packed(left),
                                right_block + n * panel, steps, b > 0, coming < coming_end ? coming : nullptr);
            if (coming < coming_end) coming += fetched;
            if (last && n > hot) write(n - 1);  // its stores drain while the next tile multiplies
          }
          if (last) write(hot_end - 1);
        }
        right_block += count * panel;
        left += panel;
      }
    }
  }
}

void multiply_columns(const Bf16Product& p, const Pass& pass, const Unit& unit, const ColumnScratch& scratch) {
  const Bf16Multiplier multiplier;
  const std::int64_t most = p.group_elements() / (unit.count * kBf16Tile);
  std::int64_t offset = 0;
  for (std::size_t begin = pass.blocks.begin; begin < pass.blocks.end;) {
    const BlockRun group = blocks_within(p, begin, pass.blocks.end, most);
    multiply_group(p, pass, unit, group, offset, scratch, multiplier);
    offset += group.length * kBf16Tile;
    begin = group.end;
  }
  if (p.streamed) finish_streamed_tiles();
}

// The rows of a pass, by all threads of the parallel region together.
void pack_pass(const Bf16Product& p, const Pass& pass, bf16* left) {
#pragma omp for schedule(static)
  for (std::int64_t r = 0; r < tiles_of(pass.rows); ++r) {
    bf16* to = left + r * kBf16Tile * pass.blocks.length;
    for (std::size_t b = pass.blocks.begin; b < pass.blocks.end; ++b) {
      pack_rows(p, to, p.blocks[b], pass.row + r * kBf16Tile);
      to += p.blocks[b].length * kBf16Tile;
    }
  }
}

// How many rows and how much of the sum are packed together, in elements of the space that threads share.
struct ColumnCut {
  std::int64_t rows;         // of a pass
  std::int64_t left = 0;     // packed; 0: each thread packs its own
  std::int64_t partial = 0;  // sums of all columns, as many as make the packed rows' sum a part of the whole
  std::int64_t most_length;  // of such a part

  ColumnCut(const Bf16Product& p, std::int64_t room, bool one_unit_each, std::int64_t unit_columns) {
    rows = even_rows(p.rows, p.in_one_group() ? p.rows : kLongRows, kBf16Tile);
    most_length = p.length;
    if (one_unit_each)
      return;  // a thread would use them once: cheaper to pack them into its cache than for all to read
    const std::int64_t fit = std::max(room, kSharedElements) / p.length / kBf16Tile * kBf16Tile;
    if (fit >= std::min(rows, kLongRows / 2)) {
      rows = even_rows(p.rows, std::min(fit, rows), kBf16Tile);
      left = rows * p.length;
      return;
    }
    const std::int64_t sums = rows * tiles_of(p.columns) * kBf16Tile * 2;
    const std::int64_t group = p.group_elements() / unit_columns / p.longest * p.longest;
    const std::int64_t groups = (room - sums) / rows / group;
    if (groups < 1) return;
    partial = sums;
    most_length = groups * group;
    left = rows * most_length;
  }
};

void multiply_by_columns(const Bf16Product& p, TensorView workspace) {
  const std::int64_t most_columns =
      p.in_one_group() ? std::min(kMostColumns, kRightElements / p.length / kBf16Tile * kBf16Tile) : kLongColumns;
  // Equal shares of at most so many columns.
  const std::int64_t threads = omp_get_max_threads(), columns = tiles_of(p.columns);
  const std::int64_t a_round = threads * (most_columns / kBf16Tile);
  const std::int64_t units = std::min(columns, (columns + a_round - 1) / a_round * threads);
  const auto room = static_cast<std::int64_t>(workspace.bytes() / sizeof(bf16)) - kBf16Tile;
  const ColumnCut cut(p, room, units <= threads, (columns + units - 1) / units * kBf16Tile);
  Shared shared(workspace, cut.partial + cut.left);
#pragma omp parallel
  {
    const ColumnScratch scratch(shared.enter(ColumnScratch::kFloats));
    auto* const partial = reinterpret_cast<float*>(shared.data);
    bf16* const left = shared.data + cut.partial;
    for (std::int64_t row = 0; row < p.rows; row += cut.rows) {
      for (std::size_t begin = 0; begin < p.blocks.size();) {
        const Pass pass{row, std::min(cut.rows, p.rows - row),
                        blocks_within(p, begin, p.blocks.size(), cut.most_length), cut.left > 0 ? left : nullptr};
        if (pass.left != nullptr) pack_pass(p, pass, left);
#pragma omp for schedule(dynamic, 1)
        for (std::int64_t u = 0; u < units; ++u) {
          const std::int64_t first = columns * u / units, count = columns * (u + 1) / units - first;
          float* const sums = cut.partial > 0 ? partial + tiles_of(cut.rows) * first * kTileSums : scratch.partial;
          multiply_columns(p, pass, {first, count, sums}, scratch);
        }
        begin = pass.blocks.end;
      }
    }
  }
}

// ---- Few columns: all threads pack all of them together; then each takes rows, which the tiles read as they are stored.

// Where the rows of a block can be read by the tile itself, or as `space` has them.
Bf16Left rows_of_block(const Bf16Product& p, const SumBlock& block, std::int64_t row, bf16* space) {
  const SumPiece& piece = block.pieces[0];
  const GemmTerm& term = p.term(piece);
  if (block.used == 1 && piece.count % kBf16Tile == 0 && !term.a_transposed && row + kBf16Tile <= p.rows) {
    const std::int64_t stride = term.a.stride;
    return {static_cast<const bf16*>(term.a.data) + row * stride + piece.begin, stride, 16 * stride, kBf16Tile};
  }
  pack_rows(p, space, block, row);
  return Bf16Left::packed(space);
}

void multiply_by_rows(const Bf16Product& p, TensorView workspace) {
  const std::int64_t columns = tiles_of(p.columns), blocks = std::ssize(p.blocks);
  Shared right(workspace, columns * p.length * kBf16Tile);
#pragma omp parallel
  {
    constexpr std::int64_t kOwn = kMostBlock * kBf16Tile / 2;
    float* const scratch = right.enter(kOwn + kRowColumns / kBf16Tile * kTileSums);
    float* const sums = scratch + kOwn;
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks * columns; ++i) {
      bf16* to = right.data + i / blocks * p.length * kBf16Tile;
      for (std::int64_t b = 0; b < i % blocks; ++b) to += p.blocks[static_cast<std::size_t>(b)].length * kBf16Tile;
      pack_columns(p, to, p.blocks[static_cast<std::size_t>(i % blocks)], i / blocks * kBf16Tile, 1);
    }
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t row = 0; row < p.rows; row += kBf16Tile) {
      const Bf16Multiplier multiplier;
      const bf16* block_columns = right.data;
      for (std::int64_t b = 0; b < blocks; ++b) {
        const SumBlock& block = p.blocks[static_cast<std::size_t>(b)];
        const Bf16Left left = rows_of_block(p, block, row, reinterpret_cast<bf16*>(scratch));
        for (std::int64_t n = 0; n < columns; ++n) {
          multiplier.multiply(sums + n * kTileSums, kBf16Tile, left, block_columns + n * p.length * kBf16Tile,
                              block.length / kBf16Tile, b > 0);
        }
        block_columns += block.length * kBf16Tile;
      }
      for (std::int64_t n = 0; n < columns; ++n) p.write(row, n * kBf16Tile, sums + n * kTileSums);
    }
  }
}

// The scales of a weight that is multiplied in 8 bits, at the beginning of the workspace, which they leave; of a narrow
// weight of many rows they do not fit.
const float* row_scales(const WeightMatrix& weight, TensorView& workspace) {
  thread_local std::vector<float> beside;  // kept, as the blocks are
  const std::size_t bytes = static_cast<std::size_t>(weight.rows) * sizeof(float);
  float* scales = static_cast<float*>(workspace.data);
  if (bytes <= workspace.bytes()) {
    const auto elements = static_cast<std::int64_t>(bytes / size_of(workspace.dtype));
    workspace = {scales + weight.rows, workspace.dtype, {workspace.elements() - elements}};
  } else {
    beside.resize(static_cast<std::size_t>(weight.rows));
    scales = beside.data();
  }
  int8_row_scales(scales, weight, kCodeLevels);
  return scales;
}

void check(const Matrix& c, std::span<const GemmTerm> terms) {
  for (const GemmTerm& term : terms) {
    const std::int64_t rows = term.a_transposed ? term.a.columns : term.a.rows;
    const std::int64_t length = term.a_transposed ? term.a.rows : term.a.columns;
    if (rows == c.rows && length == term.b.length() && term.b.columns() == c.columns && term.a.dtype == DType::kBF16 &&
        (c.dtype == DType::kF32 || c.dtype == DType::kBF16)) {
      continue;
    }
    throw InternalError("[bf16_gemm] shapes or types do not fit: c {}x{}, a {}x{}, b {}x{}", c.rows, c.columns, rows,
                        length, term.b.length(), term.b.columns());
  }
}

}  // namespace

void bf16_gemm(const Matrix& c, std::span<const GemmTerm> terms, bool accumulate, TensorView workspace, float scale) {
  check(c, terms);
  thread_local std::vector<SumBlock> blocks;  // kept, so that a warm step allocates nothing
  blocks.clear();
  GemmTerm turned;
  Bf16Product p{c, false, terms, blocks, c.rows, c.columns, accumulate, scale};
  const GemmTerm& only = terms[0];
  if (terms.size() == 1 && only.a_transposed && p.columns <= kFewColumns && p.rows > kFewColumns &&
      c.dtype == DType::kF32 && only.b.weight.format == WeightFormat::kBF16 && only.b.factor == 1.0f) {
    // The transpose of c = a b: so the long operand needs no turning.
    const WeightMatrix& b = only.b.weight;
    turned.a = Matrix(const_cast<void*>(b.data), DType::kBF16, b.rows, b.columns, only.b.stride);
    turned.a_transposed = !only.b.transposed;
    turned.b = RightOperand::of(only.a, false);
    p.c_transposed = true;
    p.terms = {&turned, 1};
    std::swap(p.rows, p.columns);
  }
  for (std::size_t t = 0; t < terms.size() && has_int8_tiles(); ++t) {
    const RightOperand& b = terms[t].b;
    if (!b.weight.int8_products || !bf16_gemm_takes_codes(b.length(), p.columns)) continue;
    p.code_term = static_cast<std::int64_t>(t);
    p.row_scales = row_scales(b.weight, workspace);
  }
  cut_sum(p);
  if (p.columns <= kRowColumns && p.rows > p.columns) {
    multiply_by_rows(p, workspace);
  } else {
    p.streamed = !p.c_transposed && streams_bf16_tiles(c, accumulate);
    multiply_by_columns(p, workspace);
  }
}

bool bf16_gemm_takes_codes(std::int64_t length, std::int64_t columns) {
  return std::min(length, columns) > kRowColumns;
}

std::int64_t code_block(std::int64_t length) { return even_rows(length, kCodeBlock, kNf4Block); }

std::size_t bf16_gemm_scratch_bytes() { return static_cast<std::size_t>(ColumnScratch::kFloats) * sizeof(float); }

}  // namespace attune
