// How gemm cuts a product: the sum's length into blocks that are packed together, rows and columns into cache-sized
// parts. The cuts depend on the shapes alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/gemm.h"

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

}  // namespace attune
