#include "ops/simd_limit.h"

#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "ops/matmul.h"

namespace attune {

void limit_simd(const std::string& widest) {
  std::int64_t kept = -1;
  if (widest == "avx2")
    kept = HWY_AVX2 | HWY_SCALAR;
  else if (widest == "neon")
    kept = HWY_NEON | HWY_SCALAR;
  else if (widest == "scalar")
    kept = HWY_SCALAR;
  else if (!widest.empty())
    throw UserError("[ATTUNE_SIMD] expected avx2, neon or scalar, got \"{}\"", widest);
  hwy::DisableTargets(0);
  if (kept != -1 && widest != "scalar" && (hwy::SupportedTargets() & kept & ~HWY_SCALAR) == 0) {
    throw UserError("[ATTUNE_SIMD] this processor has no {}; leave the variable unset", widest);
  }
  if (kept != -1) hwy::DisableTargets(~kept);
  if (!widest.empty()) limit_onednn_to_avx2();
}

void limit_simd_from_environment() {
  if (const char* const widest = std::getenv("ATTUNE_SIMD")) limit_simd(widest);
}

std::string simd_in_use() {
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);  // the better of two sets is the lower bit
}

}  // namespace attune
