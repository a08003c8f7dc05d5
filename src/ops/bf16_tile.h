// Products of bf16 tiles that lie in cache, by the instructions that x86 processors have for them: AMX, or AVX512-BF16
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18). AMX multiplies tiles of 8-bit
// integers too. Nothing here runs where bf16_tiles() says kNone, as on every other processor.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace attune {

enum class Bf16Tiles : std::uint8_t { kNone, kAvx512, kAmx };

// What this processor has, where it is faster than f32, and the operating system lets this process use; after any limit.
Bf16Tiles bf16_tiles();

// Whether they multiply 8-bit integers too.
bool has_int8_tiles();

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

// Operands of 8-bit codes: steps of 64 summands, as many bytes as those of bf16, [2, 16, 64] of the left operand and
// [2, 16, 16, 4] of the right, then the scale of each row or column.
inline constexpr std::int64_t kCodeStep = 64;     // summands
inline constexpr std::int64_t kCodeLevels = 127;  // the largest code
inline std::int64_t code_steps(std::int64_t count) { return (count + kCodeStep - 1) / kCodeStep; }
inline const float* scales_of_codes(const std::int8_t* codes, std::int64_t steps) {
  return reinterpret_cast<const float*>(codes + steps * kBf16Tile * kCodeStep);
}
inline float* scales_of_codes(std::int8_t* codes, std::int64_t steps) {
  return reinterpret_cast<float*>(codes + steps * kBf16Tile * kCodeStep);
}

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

  // c [tiles, 32, 32] = (plus c when accumulate) the products of codes, whose sums are exact, times the scales of row and
  // column: one left operand times `tiles` right ones that begin `panel` bytes apart; where has_int8_tiles() says so. At
  // most 2^31 / 127^2 summands.
  void multiply_codes(float* c, const std::int8_t* left, const std::int8_t* right, std::int64_t panel,
                      std::int64_t tiles, std::int64_t steps, bool accumulate, const bf16* next = nullptr) const;

 private:
  using Multiply = void (*)(float*, std::int64_t, const Bf16Left&, const bf16*, std::int64_t, bool, const bf16*);
  Multiply multiply_;
  unsigned rounding_and_subnormals_ = 0;  // as the thread had them
};

}  // namespace attune
