// What the benchmarks share: the ceilings of this machine, tensors to work on, and one readable table in which every op
// stands as a fraction of its own bound.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace attune {

// Measured in this process before the first benchmark and again after the last; fractions use the larger.
struct Ceilings {
  double gemm_peak = 0, bf16_gemm_peak = 0, bandwidth = 0;  // FLOP/s in f32 and in bf16, bytes/s
};
extern Ceilings ceilings;

// Owns a tensor: values in [-1, 1), or integers in [0, 1000).
class Buffer {
 public:
  Buffer(DType type, Shape shape);
  TensorView view() { return {bytes_.data(), type_, shape_}; }

 private:
  DType type_;
  Shape shape_;
  std::vector<std::byte> bytes_;
};

// How much one iteration must do at least.
void report_bytes(benchmark::State& state, double bytes_per_call);
// Of products of this type, f32 or bf16.
void report_flops(benchmark::State& state, double flops_per_call, DType type = DType::kF32);

// Measures the ceilings, runs what is registered, prints the table. The exit status of the program.
int run_benchmarks(int argc, char** argv);

}  // namespace attune
