// The bf16 product of processors that have instructions for it (ops/bf16_tile.h): operands bf16 or expanded to it from any
// storage format, sums in f32. Quantized weights are never written out. Where tiles multiply 8-bit integers too, a weight
// with int8_products is multiplied in those, if it is large enough: activations rounded with one scale for each row and
// code_block summands, weights with one for each of their rows, sums exact, scaled and added up in f32.
#pragma once

#include <span>

#include "ops/gemm.h"

namespace attune {

// c [M, N], f32 or bf16, = (plus c when accumulate) `scale` times the sum over terms of a b, as gemm, with the left operands
// bf16. Every element is summed in an order that depends on the terms' shapes only, and rounded once when c is bf16. Only
// one term's weight may have int8_products.
// `workspace`, when not empty, holds the packed rows of the left operands and the scales of codes; more of it means that quantized weights are
// expanded less often.
void bf16_gemm(const Matrix& c, std::span<const GemmTerm> terms, bool accumulate, TensorView workspace = {},
               float scale = 1.0f);

// Whether a weight of this many summands and columns is multiplied in 8 bits, where it may be: rounding the rows would cost
// more than few columns, or short sums, save. How many summands then share a row's scale.
bool bf16_gemm_takes_codes(std::int64_t length, std::int64_t columns);
std::int64_t code_block(std::int64_t length);

// What each thread keeps for it beside the workspace (ops/scratch.h), in bytes.
std::size_t bf16_gemm_scratch_bytes();

}  // namespace attune
