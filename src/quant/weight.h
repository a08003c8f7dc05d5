// A frozen weight matrix in one of the storage formats, and its expansion to floating point, a block of rows
// at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace attune {

enum class WeightFormat : std::uint8_t { kF32, kBF16, kF16, kNF4, kInt8, kQ8_0, kQ4_0, kQ5_0, kQ4K, kQ5K, kQ6K };
std::string_view name_of(WeightFormat format);

// [rows, columns] = [outputs, inputs], row-major. Not owning: the bytes belong to a Weights object or a
// mapped file.
//
// kNF4 (Dettmers et al., "QLoRA", 2023; the layout of bitsandbytes): the matrix flattened row-major in blocks
// of 64, which may straddle rows; two codes per byte, the first element in the high nibble. The scale of
// block b is absmax[b], or with double quantization nested_map[absmax_codes[b]] * nested_absmax[b / 256] +
// nested_offset. kInt8: one i8 per element, one f32 scale per row: value = code * row_scales[row].
//
// The others are ggml's block formats (quant/blocks.h): `data` holds rows of whole blocks, scales within.
struct WeightMatrix {
  WeightFormat format = WeightFormat::kF32;
  std::int64_t rows = 0, columns = 0;
  const void* data = nullptr;
  const float* absmax = nullptr;               // kNF4 without double quantization
  const std::uint8_t* absmax_codes = nullptr;  // kNF4 with double quantization, and the three that follow
  const float* nested_absmax = nullptr;
  const float* nested_map = nullptr;  // 256 entries
  float nested_offset = 0.0f;
  const float* row_scales = nullptr;  // kInt8
  bool int8_products = false;         // with f32 activations, multiply in 8-bit integers (ops/int8_gemm.h)

  std::size_t bytes() const;  // everything stored: codes and scales
};

// Expands rows [begin, begin + out.rows()) into out [count, columns] f32 or bf16 (rounded to nearest even).
// One thread; callers split the rows. Thread-safe.
void decode_rows(TensorView out, const WeightMatrix& weight, std::int64_t begin);

// The same for `count` elements of one row from `column` on, in f32.
void decode_span(float* out, const WeightMatrix& weight, std::int64_t row, std::int64_t column, std::int64_t count);

// The f32 scales of the kNF4 blocks [begin, begin + count).
void nf4_scales(float* scales, const WeightMatrix& weight, std::int64_t begin, std::int64_t count);

}  // namespace attune
