// The block formats of ggml (INTEROP section 5): Q8_0, Q4_0, Q5_0, Q4_K, Q5_K and Q6_K, in which llama.cpp and Ollama
// hold their models. A row is a sequence of whole blocks, each with its own scales. Codes are those of ggml's reference
// encoder, bit for bit where the compiler rounds as it does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "quant/weight.h"

namespace attune {

// Of one block.
struct BlockLayout {
  std::int64_t elements, bytes;
};
inline constexpr std::int64_t kMostBlockElements = 256;
std::optional<BlockLayout> block_layout(WeightFormat format);  // nothing for formats without blocks of this kind

// Expands `count` blocks; values are rounded once, to nearest even. One thread; thread-safe.
void decode_blocks(float* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count);
void decode_blocks(bf16* out, WeightFormat format, const std::uint8_t* blocks, std::int64_t count);

// The inverse, of finite values. One thread; thread-safe.
void encode_blocks(std::uint8_t* blocks, WeightFormat format, const float* values, std::int64_t count);

// Encodes `source` [rows, columns] (f32, bf16 or f16), columns a multiple of the block. OpenMP over rows; the result does
// not depend on the thread count. False when a value is NaN or infinite; the blocks are then not to be used.
bool encode_block_rows(std::span<std::uint8_t> blocks, WeightFormat format, const TensorView& source);

}  // namespace attune
