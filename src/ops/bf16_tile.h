// Products of bf16 tiles that lie in cache, by the instructions that x86 processors have for them: AMX, or AVX512-BF16
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18). Nothing here runs where
// bf16_tiles() says kNone, as on every other processor.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace attune {

enum class Bf16Tiles : std::uint8_t { kNone, kAvx512, kAmx };

// What this processor has, where it is faster than f32, and the operating system lets this process use; after any limit.
Bf16Tiles bf16_tiles();

// Keeps tiles to those of at most this kind; before the first product.
void limit_bf16_tiles(Bf16Tiles most);

// One tile has as many rows and columns, and its sum is made of steps of as many summands.
inline constexpr std::int64_t kBf16Tile = 32;
inline constexpr std::int64_t kBf16Step = kBf16Tile * kBf16Tile;  // elements of an operand in one step
inline std::int64_t tiles_of(std::int64_t count) { return (count + kBf16Tile - 1) / kBf16Tile; }

// The left operand of a tile: 32 rows, each with 32 neighbouring elements in every step. Distances are in elements.
struct Bf16Left {
  const bf16* data;
  std::int64_t row;   // from one row to the next within either half
  std::int64_t half;  // from row 0 to row 16
  std::int64_t step;  // from one step to the next

  // Steps one after the other, each [2, 16, 32]: all of it in one piece.
  static Bf16Left packed(const bf16* data) { return {data, kBf16Tile, kBf16Step / 2, kBf16Step}; }
};

// A thread that multiplies tiles; one at a time per thread, and not across a wait for other threads. Meanwhile subnormal
// numbers count as zero in all that the thread computes: they do in the tiles, and elsewhere each costs a hundred cycles,
// which sharp attention pays for most of its probabilities' gradients.
class Bf16Multiplier {
 public:
  Bf16Multiplier();
  ~Bf16Multiplier();
  Bf16Multiplier(const Bf16Multiplier&) = delete;
  Bf16Multiplier& operator=(const Bf16Multiplier&) = delete;

  // c [32, 32] f32, rows c_row elements apart, = (plus c when accumulate) left times right over `steps` of 32 summands.
  // The right operand is packed: steps one after the other, each [2, 16, 16, 2]: two halves of 16 columns, 16 pairs of
  // summands, a column's two summands side by side. Every element is summed in f32 in an order that depends on `steps`
  // alone. `next` is what the thread reads after this and may have to come from far: kFetchedPerStep elements are asked for
  // in every step.
  static constexpr std::int64_t kFetchedPerStep = 128;
  void multiply(float* c, std::int64_t c_row, const Bf16Left& left, const bf16* right, std::int64_t steps,
                bool accumulate, const bf16* next = nullptr) const {
    multiply_(c, c_row, left, right, steps, accumulate, next == nullptr ? left.data : next);
  }

 private:
  using Multiply = void (*)(float*, std::int64_t, const Bf16Left&, const bf16*, std::int64_t, bool, const bf16*);
  Multiply multiply_;
  unsigned rounding_and_subnormals_ = 0;  // as the thread had them
};

}  // namespace attune
