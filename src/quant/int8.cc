#include "quant/int8.h"

#include <cassert>
#include <cmath>
#include <vector>

#include "quant/kernels.h"
#include "quant/weight.h"

namespace attune {

bool encode_int8(std::span<std::int8_t> codes, std::span<float> scales, const TensorView& source) {
  const std::int64_t rows = source.rows(), columns = source.columns();
  assert(std::ssize(codes) == rows * columns && std::ssize(scales) == rows);
  WeightMatrix plain{.format = source.dtype == DType::kF32    ? WeightFormat::kF32
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
      const float largest = absolute_maximum(row.data(), columns);
      finite = std::isfinite(largest) && finite;
      scales[static_cast<std::size_t>(r)] = largest / 127.0f;
      round_int8(codes.data() + r * columns, row.data(), largest > 0 ? 1.0f / largest * 127.0f : 0.0f, columns);
    }
  }
  return finite;
}

}  // namespace attune
