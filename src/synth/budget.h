// The cost meter: what was spent, what the calls under way may still cost, and where to stop.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

namespace attune {

struct Prices {
  double in = 0, out = 0;  // of a million tokens, in whatever currency

  double cost(std::int64_t prompt_tokens, std::int64_t reply_tokens) const {
    return (static_cast<double>(prompt_tokens) * in + static_cast<double>(reply_tokens) * out) / 1e6;
  }
};

// Thread-safe.
class Budget {
 public:
  explicit Budget(std::optional<double> limit, double spent) : limit_(limit), spent_(spent) {}

  // Sets `most`, what a call can cost, aside for it. False when that could exceed the limit even if every call under
  // way turned out to cost nothing; while only their reserves are in the way, waits for them.
  bool reserve(double most);
  void settle(double reserved, double cost);
  double spent() const;

 private:
  const std::optional<double> limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  double spent_, reserved_ = 0;
  int under_way_ = 0;
};

}  // namespace attune
