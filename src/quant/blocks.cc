#include "quant/blocks.h"

#include <cassert>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "quant/block_kernels.h"
#include "quant/kernels.h"

namespace attune {

std::optional<BlockLayout> block_layout(WeightFormat format) {
  switch (format) {
    case WeightFormat::kQ8_0:
      return BlockLayout{kSmallBlock, kQ8_0Bytes};
    case WeightFormat::kQ4_0:
      return BlockLayout{kSmallBlock, kQ4_0Bytes};
    case WeightFormat::kQ5_0:
      return BlockLayout{kSmallBlock, kQ5_0Bytes};
    case WeightFormat::kQ4K:
      return BlockLayout{kSuperBlock, kQ4KBytes};
    case WeightFormat::kQ5K:
      return BlockLayout{kSuperBlock, kQ5KBytes};
    case WeightFormat::kQ6K:
      return BlockLayout{kSuperBlock, kQ6KBytes};
    default:
      return std::nullopt;
  }
}

void encode_blocks(std::uint8_t* blocks, WeightFormat format, const float* values, std::int64_t count) {
  switch (format) {
    case WeightFormat::kQ8_0:
      return encode_q8_0(blocks, values, count);
    case WeightFormat::kQ4_0:
      return encode_q4_0(blocks, values, count);
    case WeightFormat::kQ5_0:
      return encode_q5_0(blocks, values, count);
    case WeightFormat::kQ4K:
      return encode_q4_k(blocks, values, count);
    case WeightFormat::kQ5K:
      return encode_q5_k(blocks, values, count);
    case WeightFormat::kQ6K:
      return encode_q6_k(blocks, values, count);
    default:
      throw InternalError("[quant] {} has no blocks", name_of(format));
  }
}

bool encode_block_rows(std::span<std::uint8_t> blocks, WeightFormat format, const TensorView& source) {
  const std::int64_t rows = source.rows(), columns = source.columns();
  const BlockLayout layout = block_layout(format).value();
  const std::int64_t row_blocks = columns / layout.elements;
  assert(columns % layout.elements == 0 && std::ssize(blocks) == rows * row_blocks * layout.bytes);
  const WeightMatrix plain{.format = source.dtype == DType::kF32    ? WeightFormat::kF32
                                     : source.dtype == DType::kBF16 ? WeightFormat::kBF16
                                                                    : WeightFormat::kF16,
                           .rows = rows,
                           .columns = columns,
                           .data = source.data};
  bool finite = true;
#pragma omp parallel reduction(&& : finite)
  {
    std::vector<float> row(static_cast<std::size_t>(columns));
#pragma omp for schedule(static)
    for (std::int64_t r = 0; r < rows; ++r) {
      decode_rows({row.data(), DType::kF32, {1, columns}}, plain, r);
      finite = std::isfinite(absolute_maximum(row.data(), columns)) && finite;
      if (finite) encode_blocks(blocks.data() + r * row_blocks * layout.bytes, format, row.data(), row_blocks);
    }
  }
  return finite;
}

}  // namespace attune
