// Where the seconds of a step go, by family of ops. Ops name their family where they begin; an op inside another
// (the products of the output head) counts for the outer one. Only the thread that calls the ops is timed.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace attune {

enum class OpFamily : std::uint8_t {
  kLinears,
  kDecode,
  kLora,
  kAttention,
  kElementwise,
  kHeadLoss,
  kOptimizer,
  kEmbedding
};
inline constexpr std::size_t kOpFamilies = 8;
std::string_view name_of(OpFamily family);

using OpSeconds = std::array<double, kOpFamilies>;

// Seconds since the start of the process; the difference of two readings is the breakdown of what ran between them.
const OpSeconds& op_seconds();

// Counts the time of its scope for `family` unless an outer timer runs. kDecode, the expansion of quantized weights,
// is taken from whatever family runs around it.
class OpTimer {
 public:
  explicit OpTimer(OpFamily family);
  ~OpTimer();
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  OpFamily family_;
  bool counts_;
  double begun_;
};

}  // namespace attune
