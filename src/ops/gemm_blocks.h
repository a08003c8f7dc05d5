// How gemm cuts a product: the sum's length into blocks that are packed together, rows and columns into cache-sized
// parts. The cuts depend on the shapes alone.
#pragma once

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "ops/gemm.h"
#include "ops/share.h"

namespace attune {

inline constexpr std::int64_t kBlockLength = 256;  // summands of one block: a panel of b fills half of L1
inline constexpr std::int64_t kTailLength = 64;    // what a block may be longer, to take in a short rest
inline constexpr std::int64_t kMostLength = kBlockLength + kTailLength;
inline constexpr std::int64_t kLeftRows = 1026;     // rows of a packed at a time: 1 MB a block
inline constexpr std::int64_t kLeftBlockRows = 96;  // of them, those that stay in L2
inline constexpr std::int64_t kRightColumns = 192;  // columns of b packed at a time: 192 kB, L2
inline constexpr std::int64_t kFewColumns = 64;     // up to here packing a costs more than it saves

// Rows per pass when `rows` are cut into as few passes of at most `most` as will do: equal ones, whole register tiles.
inline std::int64_t even_rows(std::int64_t rows, std::int64_t most, std::int64_t panel) {
  const std::int64_t passes = std::max<std::int64_t>(1, (rows + most - 1) / most);
  return ((rows + passes - 1) / passes + panel - 1) / panel * panel;
}

// What one thread computes of a product: rows [row_begin, row_end) and columns [column_begin, column_end).
struct ProductPart {
  std::int64_t row_begin, row_end, column_begin, column_end;

  // Whole panels of b that a thread which is done takes at a time from another's.
  static constexpr std::int64_t kUnitColumns = 64;
  std::int64_t units() const { return (column_end - column_begin + kUnitColumns - 1) / kUnitColumns; }

  // Calls body(column, columns) for the columns of [unit, unit + count), at most `most` at a time.
  template <typename Body>
  void for_columns(std::int64_t unit, std::int64_t count, std::int64_t most, const Body& body) const {
    const std::int64_t end = std::min(column_end, column_begin + (unit + count) * kUnitColumns);
    for (std::int64_t column = column_begin + unit * kUnitColumns; column < end; column += most) {
      body(column, std::min(most, end - column));
    }
  }
};

// A product cut for the threads along its longer side, into multiples of whole register tiles.
class ProductCut {
 public:
  ProductCut(std::int64_t rows, std::int64_t columns)
      : rows_(rows),
        columns_(columns),
        parts_(std::min<std::int64_t>({omp_get_max_threads(), kMostSharing, grains()})) {}

  std::int64_t parts() const { return parts_; }

  // Calls body(i, part, stages, thread) for every part in parallel. Threads that are too few for the parts share nothing:
  // one that waited for another's part might be the one to do it.
  template <typename Stage, typename Body>
  void for_parts(const Body& body) const {
    SharedStages<Stage> stages(parts_);
#pragma omp parallel num_threads(static_cast <int>(parts_)) if (parts_ > 1)
    {
      const bool together = omp_get_num_threads() == parts_;
#pragma omp for schedule(static, 1)
      for (std::int64_t i = 0; i < parts_; ++i) {
        if (together) {
          body(i, part(i), stages, omp_get_thread_num());
        } else {
          SharedStages<Stage> alone(1);
          body(i, part(i), alone, 0);
        }
      }
    }
  }

 private:
  bool by_rows() const { return rows_ >= columns_; }
  std::int64_t side() const { return by_rows() ? rows_ : columns_; }
  std::int64_t grain() const { return by_rows() ? 6 : 64; }
  std::int64_t grains() const { return (side() + grain() - 1) / grain(); }
  ProductPart part(std::int64_t i) const {
    const std::int64_t begin = grains() * i / parts_ * grain();
    const std::int64_t end = std::min(side(), grains() * (i + 1) / parts_ * grain());
    return by_rows() ? ProductPart{begin, end, 0, columns_} : ProductPart{0, rows_, begin, end};
  }

  std::int64_t rows_, columns_, parts_;
};

// Summands [begin, begin + count) of one term, at `offset` of the block.
struct SumPiece {
  std::int64_t term = 0, begin = 0, count = 0, offset = 0;
};

struct SumBlock {
  std::array<SumPiece, 4> pieces;
  std::int64_t used = 0, length = 0;
};

// Walks over the blocks of a call.
class SumBlocks {
 public:
  explicit SumBlocks(std::span<const GemmTerm> terms) : terms_(terms) {}

  // False at the end.
  bool next(SumBlock& block) {
    block = {};
    while (term_ < static_cast<std::int64_t>(terms_.size()) && block.used < 4) {
      const std::int64_t rest = terms_[static_cast<std::size_t>(term_)].b.length() - begin_;
      const std::int64_t room = kMostLength - block.length;
      if (block.length > 0 && rest > room) break;
      const std::int64_t count = rest <= room ? rest : kBlockLength;
      block.pieces[static_cast<std::size_t>(block.used++)] = {term_, begin_, count, block.length};
      block.length += count;
      begin_ += count;
      if (count < rest) break;
      term_ += 1;
      begin_ = 0;
    }
    return block.length > 0;
  }

 private:
  std::span<const GemmTerm> terms_;
  std::int64_t term_ = 0, begin_ = 0;
};

// SumBlocks of the sum whose left operands are packed together, so that a part of c is finished while it is in cache.
inline constexpr std::size_t kGroupBlocks = 16;
struct Group {
  std::array<SumBlock, kGroupBlocks> blocks;
  std::size_t used = 0;
  std::int64_t length = 0;
};

// Takes as many blocks as fit into `most` summands, at least one; false at the end.
inline bool next_group(Group& group, SumBlocks& blocks, std::optional<SumBlock>& pending, std::int64_t most) {
  group = {};
  while (group.used < group.blocks.size()) {
    SumBlock block;
    if (pending)
      block = *pending;
    else if (!blocks.next(block))
      break;
    pending.reset();
    if (group.used > 0 && group.length + block.length > most) {
      pending = block;
      break;
    }
    group.blocks[group.used++] = block;
    group.length += block.length;
  }
  return group.used > 0;
}

}  // namespace attune
