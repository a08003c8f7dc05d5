#include "ops/simd_limit.h"

#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "ops/bf16_tile.h"
#include "ops/matmul.h"

namespace attune {

void limit_simd(const std::string& widest) {
  std::int64_t only = 0;
  if (widest == "avx512")
    only = HWY_AVX3 | HWY_AVX3_DL;
  else if (widest == "avx2")
    only = HWY_AVX2;
  else if (widest == "neon")
    only = HWY_NEON;
  else if (widest == "scalar")
    only = HWY_SCALAR;
  else if (!widest.empty())
    throw UserError("[ATTUNE_SIMD] expected avx512, avx2, neon or scalar, got \"{}\"", widest);
  // Not hwy::DisableTargets: Highway 1.0.3 forgets it as soon as anyone asks for the SupportedTargets.
  hwy::SetSupportedTargetsForTest(0);
  limit_bf16_tiles(Bf16Tiles::kAmx);
  if (widest.empty()) return;
  if ((hwy::SupportedTargets() & HWY_TARGETS & only) == 0) {
    throw UserError("[ATTUNE_SIMD] attune has no {} kernels for this processor; leave the variable unset", widest);
  }
  hwy::SetSupportedTargetsForTest(hwy::SupportedTargets() & only);
  limit_bf16_tiles(widest == "avx512" ? Bf16Tiles::kAvx512 : Bf16Tiles::kNone);
  if (widest != "avx512") limit_onednn_to_avx2();
}

void limit_simd_from_environment() {
  if (const char* const widest = std::getenv("ATTUNE_SIMD")) limit_simd(widest);
}

std::string simd_in_use() {
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);  // the better of two sets is the lower bit
}

}  // namespace attune
