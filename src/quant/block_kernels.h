// The loops under quant/blocks.h, one function per family of formats. One thread each.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace attune {

inline constexpr std::int64_t kSmallBlock = 32;   // elements of Q8_0, Q4_0, Q5_0
inline constexpr std::int64_t kSuperBlock = 256;  // elements of Q4_K, Q5_K, Q6_K

// Bytes of one block.
inline constexpr std::int64_t kQ8_0Bytes = 34, kQ4_0Bytes = 18, kQ5_0Bytes = 22;
inline constexpr std::int64_t kQ4KBytes = 144, kQ5KBytes = 176, kQ6KBytes = 210;

void encode_q8_0(std::uint8_t* blocks, const float* values, std::int64_t count);
void encode_q4_0(std::uint8_t* blocks, const float* values, std::int64_t count);
void encode_q5_0(std::uint8_t* blocks, const float* values, std::int64_t count);
void encode_q4_k(std::uint8_t* blocks, const float* values, std::int64_t count);
void encode_q5_k(std::uint8_t* blocks, const float* values, std::int64_t count);
void encode_q6_k(std::uint8_t* blocks, const float* values, std::int64_t count);

}  // namespace attune
