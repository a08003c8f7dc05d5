#include "ops/op_time.h"

#include <optional>

#include "base/clock.h"

namespace attune {
namespace {

// Of the calling thread; the threads of a parallel region have their own, which nobody reads.
thread_local OpSeconds seconds{};
thread_local std::optional<OpFamily> running;

}  // namespace

std::string_view name_of(OpFamily family) {
  static constexpr std::array<std::string_view, kOpFamilies> kNames = {
      "linears", "decode", "lora", "attention", "norms_rope_swiglu", "head_loss", "optimizer", "embedding"};
  return kNames[static_cast<std::size_t>(family)];
}

const OpSeconds& op_seconds() { return seconds; }

OpTimer::OpTimer(OpFamily family)
    : family_(family), counts_(!running || family == OpFamily::kDecode), begun_(counts_ ? seconds_now() : 0.0) {
  if (!running)
    running = family;
  else if (family_ != OpFamily::kDecode)
    family_ = *running;
}

OpTimer::~OpTimer() {
  if (!counts_) return;
  const double passed = seconds_now() - begun_;
  seconds[static_cast<std::size_t>(family_)] += passed;
  if (family_ != OpFamily::kDecode || running == OpFamily::kDecode)
    running.reset();
  else
    seconds[static_cast<std::size_t>(*running)] -= passed;
}

}  // namespace attune
