// The machine's ceilings, measured in the process whose speed is judged by them.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "tensor/tensor.h"

namespace attune {

// `work` per second of a call of `run`: the best of those that begin within `seconds`, one at least.
template <typename F>
double best_rate(double work, double seconds, F run) {
  double best = 0;
  const double end = seconds_now() + seconds;
  do {
    const double begun = seconds_now();
    run();
    best = std::max(best, work / (seconds_now() - begun));
  } while (seconds_now() < end);
  return best;
}

// The same over all rounds together.
template <typename F>
double mean_rate(double work, double seconds, F run) {
  const double begun = seconds_now(), end = begun + seconds;
  double done = 0, now = begun;
  while (now < end) {
    run();
    done += work;
    now = seconds_now();
  }
  return done / (now - begun);
}

// Numbers between -1 and 1, the first rows over and over: operands as a model's are. Zeros would not do: bits that never
// change cost a processor less power, and AMX multiplies them a quarter faster than any others. f32 or bf16.
void fill_uniform(TensorView view);

// FLOP/s of large square products of `type` (f32 or bf16), by oneDNN and by our own: the best of several within about
// `seconds`.
double measure_gemm_peak(DType type, double seconds = 0.4);

// FLOP/s of such products, all of them over all the time they took: what lasts of the peak on a machine that others use as
// well.
double sustained_gemm_rate(DType type, double seconds = 1.0);

// Bytes/s of reading a buffer far larger than the caches with all threads: the best of several.
double measure_memory_bandwidth(double seconds = 0.3);

// The same, all of it over all the time it took: what work that lasts has of a machine that others use as well. On such
// machines it is a fifth to a quarter below the best.
double sustained_memory_bandwidth(double seconds = 0.3);

}  // namespace attune
