// Random numbers that are the same on every machine and for every thread count.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): output block n of stream s
// under a seed is a pure function of (seed, s, n), so a kernel may draw element i without drawing those before it,
// and a checkpoint stores two integers.
#pragma once

#include <array>
#include <cstdint>

namespace attune {

// Four uniform 32-bit words for counter (stream, block) under `seed`. Pure; thread-safe.
std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t block);

// A sequential generator over one Philox stream. Copyable; its whole state is the public fields.
struct Rng {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t position = 0;  // 32-bit words drawn so far

  std::uint32_t next_u32();
  std::uint64_t next_u64();
  double uniform();                          // [0, 1), 53 bits
  float uniform_float();                     // [0, 1), 24 bits
  double normal();                           // N(0, 1), Box-Muller; two u64 per call
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), unbiased; bound > 0
};

}  // namespace attune
