// What the server counts, in the text format of Prometheus (version 0.0.4).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "generate/engine.h"

namespace attune {

// Durations in seconds, in buckets whose limits suit answers: 5 ms to 10 minutes. Thread-safe.
class DurationHistogram {
 public:
  void observe(double seconds);
  void write(std::string& text, const char* name, const char* help) const;

 private:
  static constexpr std::array<double, 14> kLimits = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                     1,     2.5,  5,     10,   30,  120,  600};
  mutable std::mutex mutex_;
  std::array<std::uint64_t, kLimits.size()> counts_{};  // at or below the limit, above the one before
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

// Thread-safe.
class Metrics {
 public:
  void count_request(const std::string& endpoint, int status);
  void count_step(const PassReport& report, double seconds);
  void set_load(const EngineLoad& load, std::int64_t queued);
  void count_known(std::int64_t tokens) { known_tokens_ += static_cast<std::uint64_t>(tokens); }

  DurationHistogram first_token, request;

  std::string text() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;  // by endpoint and status
  EngineLoad load_;
  std::int64_t queued_ = 0, last_batch_ = 0;
  double busy_seconds_ = 0;
  std::uint64_t passes_ = 0, prompt_tokens_ = 0, answer_tokens_ = 0, guessed_ = 0, accepted_ = 0, batch_sum_ = 0;
  std::atomic<std::uint64_t> known_tokens_ = 0;
};

}  // namespace attune
