// The bf16 product of processors that have instructions for it (ops/bf16_tile.h): operands bf16 or expanded to it from any
// storage format, sums in f32. Quantized weights are never written out.
#pragma once

#include <span>

#include "ops/gemm.h"

namespace attune {

// c [M, N], f32 or bf16, = (plus c when accumulate) `scale` times the sum over terms of a b, as gemm, with the left operands bf16. Every
// element is summed in an order that depends on the terms' shapes only, and rounded once when c is bf16.
// `workspace`, when not empty, holds the packed rows of the left operands; more of it means that quantized weights are
// expanded less often.
void bf16_gemm(const Matrix& c, std::span<const GemmTerm> terms, bool accumulate, TensorView workspace = {},
               float scale = 1.0f);

// What each thread keeps for it beside the workspace (ops/scratch.h), in bytes.
std::size_t bf16_gemm_scratch_bytes();

}  // namespace attune
