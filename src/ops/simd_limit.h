// Which instruction sets may run: all that the processor has, unless ATTUNE_SIMD names the widest to use. For comparing
// results and speeds, and for processors whose widest vectors are not their fastest.
#pragma once

#include <string>

namespace attune {

// "avx512" (without AMX), "avx2", "neon", "scalar", or "" for all; Highway's kernels and oneDNN's obey. Before the first
// product: oneDNN keeps what it chose then. Throws UserError for another name, and for a set that this processor lacks or
// for which nothing was compiled: "scalar" is the baseline of x86-64, "neon" that of arm64.
void limit_simd(const std::string& widest);

// limit_simd with the value of the environment variable ATTUNE_SIMD; nothing when it is not set.
void limit_simd_from_environment();

// The instruction set that the kernels run on after any limit, by Highway's name: "AVX2", "AVX3" (AVX-512), "NEON".
std::string simd_in_use();

}  // namespace attune
