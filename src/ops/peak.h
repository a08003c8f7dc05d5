// The machine's ceilings, measured in the process whose speed is judged by them.
#pragma once

#include "tensor/dtype.h"

namespace attune {

// FLOP/s of large square products of `type` (f32 or bf16), by oneDNN and by our own: the best of several within about
// `seconds`.
double measure_gemm_peak(DType type, double seconds = 0.4);

// Bytes/s of reading a buffer far larger than the caches with all threads: the best of several.
double measure_memory_bandwidth(double seconds = 0.3);

}  // namespace attune
