#include "ops/bf16_tile.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace attune {
namespace {

std::atomic<Bf16Tiles> most_tiles{Bf16Tiles::kAmx};

#if defined(__x86_64__)

// The system saves a thread's tiles only for processes that have asked for it (Linux, Documentation/arch/x86/xstate.rst).
bool may_use_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Bf16Tiles detect() {
  unsigned a = 0, b = 0, c = 0, d = 0, sub_leaf_1 = 0;
  if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512dq") || __get_cpuid_count(7, 1, &sub_leaf_1, &b, &c, &d) == 0 ||
      (sub_leaf_1 >> 5 & 1) == 0) {
    return Bf16Tiles::kNone;
  }
  __get_cpuid_count(7, 0, &a, &b, &c, &d);
  const bool amx = (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;  // bf16 and tiles
  if (amx && may_use_amx()) return Bf16Tiles::kAmx;
  // Intel's cores multiply bf16 by AVX-512 at half of f32's rate.
  return __builtin_cpu_is("intel") ? Bf16Tiles::kNone : Bf16Tiles::kAvx512;
}

// ---- AMX: registers 0 to 3 hold the sums, 4 and 5 the left operand's halves, 6 and 7 the right's.

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile"))) void configure_amx() {
  static constexpr TileConfiguration configuration;
  _tile_loadconfig(&configuration);
}

// Without tiles in use the system has nothing to save.
__attribute__((target("amx-tile"))) void release_amx() { _tile_release(); }

__attribute__((target("amx-tile,amx-bf16"))) void multiply_amx(float* c, std::int64_t c_row, const Bf16Left& left,
                                                               const bf16* right, std::int64_t steps, bool accumulate,
                                                               const bf16* next) {
  constexpr std::int64_t kLine = 32;  // elements
  const std::int64_t c_bytes = c_row * 4, left_bytes = left.row * 2;
  float* const lower = c + 16 * c_row;
  if (accumulate) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, lower, c_bytes);
    _tile_loadd(3, lower + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const bf16* a = left.data;
  for (std::int64_t s = 0; s < steps; ++s) {
    _tile_stream_loadd(6, right, 64);
    _tile_loadd(4, a, left_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, a + left.half, left_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_stream_loadd(7, right + kBf16Step / 2, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
    // As far as L2: L1 is full of what this sum needs.
    for (std::int64_t i = 0; i < Bf16Multiplier::kFetchedPerStep; i += kLine) __builtin_prefetch(next + i, 0, 2);
    next += Bf16Multiplier::kFetchedPerStep;
    a += left.step;
    right += kBf16Step;
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, lower, c_bytes);
  _tile_stored(3, lower + 16, c_bytes);
}

// Sums stay in the tiles until the end, since they are exact.
__attribute__((target("amx-tile,amx-int8"))) void sum_codes(std::int32_t* sums, const std::int8_t* left,
                                                            const std::int8_t* right, std::int64_t steps,
                                                            const bf16* next) {
  constexpr std::int64_t kLine = 32, kRow = 64, kHalf = 16 * kRow, kStep = 2 * kHalf;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::int64_t s = 0; s < steps; ++s) {
    _tile_stream_loadd(6, right, kRow);
    _tile_loadd(4, left, kRow);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(5, left + kHalf, kRow);
    _tile_dpbssd(2, 5, 6);
    _tile_stream_loadd(7, right + kHalf, kRow);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(3, 5, 7);
    for (std::int64_t i = 0; i < Bf16Multiplier::kFetchedPerStep; i += kLine) __builtin_prefetch(next + i, 0, 2);
    next += Bf16Multiplier::kFetchedPerStep;
    left += kStep;
    right += kStep;
  }
  constexpr std::int64_t kSumsRow = kBf16Tile * sizeof(std::int32_t);
  _tile_stored(0, sums, kSumsRow);
  _tile_stored(1, sums + 16, kSumsRow);
  _tile_stored(2, sums + 16 * kBf16Tile, kSumsRow);
  _tile_stored(3, sums + 16 * kBf16Tile + 16, kSumsRow);
}

__attribute__((target("avx512f"))) void scale_sums(float* c, const std::int32_t* sums, const float* row_scales,
                                                   const float* column_scales, bool accumulate) {
  const __m512 left_columns = _mm512_loadu_ps(column_scales), right_columns = _mm512_loadu_ps(column_scales + 16);
  for (std::int64_t r = 0; r < kBf16Tile; ++r, c += kBf16Tile, sums += kBf16Tile) {
    const __m512 row = _mm512_set1_ps(row_scales[r]);
    const __m512 left = _mm512_cvtepi32_ps(_mm512_load_si512(sums)),
                 right = _mm512_cvtepi32_ps(_mm512_load_si512(sums + 16));
    const __m512 left_before = accumulate ? _mm512_loadu_ps(c) : _mm512_setzero_ps(),
                 right_before = accumulate ? _mm512_loadu_ps(c + 16) : _mm512_setzero_ps();
    _mm512_storeu_ps(c, _mm512_fmadd_ps(left, _mm512_mul_ps(row, left_columns), left_before));
    _mm512_storeu_ps(c + 16, _mm512_fmadd_ps(right, _mm512_mul_ps(row, right_columns), right_before));
  }
}

// ---- AVX512-BF16: eight rows and all columns at a time, sixteen sums.

__attribute__((target("avx512f,avx512bf16"))) void multiply_avx512(float* c, std::int64_t c_row, const Bf16Left& left,
                                                                   const bf16* right, std::int64_t steps,
                                                                   bool accumulate, const bf16* /*next*/) {
  constexpr int kRows = 8;
  for (std::int64_t first = 0; first < kBf16Tile; first += kRows) {
    __m512 sums[kRows][2];
    for (int r = 0; r < kRows; ++r) {
      float* const from = c + (first + r) * c_row;
      sums[r][0] = accumulate ? _mm512_loadu_ps(from) : _mm512_setzero_ps();
      sums[r][1] = accumulate ? _mm512_loadu_ps(from + 16) : _mm512_setzero_ps();
    }
    const bf16* a = left.data + first / 16 * left.half + first % 16 * left.row;
    const bf16* b = right;
    for (std::int64_t s = 0; s < steps; ++s) {
      for (std::int64_t pair = 0; pair < kBf16Tile / 2; ++pair) {
        const auto b0 = (__m512bh)_mm512_loadu_si512(b + pair * 32);
        const auto b1 = (__m512bh)_mm512_loadu_si512(b + kBf16Step / 2 + pair * 32);
        for (int r = 0; r < kRows; ++r) {
          const auto factors =
              (__m512bh)_mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(a + r * left.row + 2 * pair));
          sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factors, b0);
          sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factors, b1);
        }
      }
      a += left.step;
      b += kBf16Step;
    }
    for (int r = 0; r < kRows; ++r) {
      float* const to = c + (first + r) * c_row;
      _mm512_storeu_ps(to, sums[r][0]);
      _mm512_storeu_ps(to + 16, sums[r][1]);
    }
  }
}

#endif

}  // namespace

Bf16Tiles bf16_tiles() {
#if defined(__x86_64__)
  static const Bf16Tiles detected = detect();
  return std::min(detected, most_tiles.load());
#else
  return Bf16Tiles::kNone;
#endif
}

bool has_int8_tiles() {
#if defined(__x86_64__)
  // What packs codes moves bytes; every processor with AMX has the instructions for it.
  static const bool detected = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx512vbmi") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 25 & 1) != 0;
  }();
  return detected && bf16_tiles() == Bf16Tiles::kAmx;
#else
  return false;
#endif
}

void limit_bf16_tiles(Bf16Tiles most) { most_tiles = most; }

Bf16Multiplier::Bf16Multiplier() : multiply_(nullptr) {
#if defined(__x86_64__)
  const Bf16Tiles tiles = bf16_tiles();
  if (tiles == Bf16Tiles::kAmx) configure_amx();
  if (tiles != Bf16Tiles::kNone) multiply_ = tiles == Bf16Tiles::kAmx ? multiply_amx : multiply_avx512;
#endif
  if (multiply_ == nullptr) throw InternalError("[bf16_tile] this processor multiplies no bf16");
#if defined(__x86_64__)
  constexpr unsigned kResultsToZero = 0x8000, kInputsToZero = 0x0040;  // of MXCSR
  rounding_and_subnormals_ = _mm_getcsr();
  _mm_setcsr(rounding_and_subnormals_ | kResultsToZero | kInputsToZero);
#endif
}

#if defined(__x86_64__)
void Bf16Multiplier::multiply_codes(float* c, const std::int8_t* left, const std::int8_t* right, std::int64_t panel,
                                    std::int64_t tiles, std::int64_t steps, bool accumulate, const bf16* next) const {
  // A tile's sums are scaled while the next one's are formed.
  alignas(64) std::int32_t sums[2][kBf16Tile * kBf16Tile];
  const auto scale = [&](std::int64_t t) {
    scale_sums(c + t * kBf16Tile * kBf16Tile, sums[t % 2], scales_of_codes(left, steps),
               scales_of_codes(right + t * panel, steps), accumulate);
  };
  for (std::int64_t t = 0; t < tiles; ++t) {
    sum_codes(sums[t % 2], left, right + t * panel, steps,
              next == nullptr ? reinterpret_cast<const bf16*>(left) : next + t * steps * kFetchedPerStep);
    if (t > 0) scale(t - 1);
  }
  scale(tiles - 1);
}
#else
void Bf16Multiplier::multiply_codes(float*, const std::int8_t*, const std::int8_t*, std::int64_t, std::int64_t,
                                    std::int64_t, bool, const bf16*) const {
  throw InternalError("[bf16_tile] this processor multiplies no codes");
}
#endif

Bf16Multiplier::~Bf16Multiplier() {
#if defined(__x86_64__)
  _mm_setcsr(rounding_and_subnormals_);
  if (multiply_ == multiply_amx) release_amx();
#endif
}

}  // namespace attune
