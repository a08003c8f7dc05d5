// One answer on its way from the engine's thread to the thread of its request.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "generate/engine.h"

namespace attune {

class AnswerChannel : public AnswerSink {
 public:
  using Clock = std::chrono::steady_clock;

  // After `deadline` the engine ends the answer. With `eager` every token wakes the reader, else only the end does.
  AnswerChannel(Clock::time_point deadline, bool eager) : deadline_(deadline), eager_(eager) {}

  // The engine's side.
  bool wanted() override { return !cancelled_ && Clock::now() < deadline_; }
  void on_prompt(std::int64_t known_tokens) override;
  bool on_token(const TokenChoice& choice) override;
  void on_finish(FinishReason reason) override;
  void fail(const std::string& message);  // in place of on_finish

  // The reader's side.
  struct News {
    std::vector<TokenChoice> tokens;  // since the last call
    std::optional<FinishReason> finished;
    std::string failure;            // not empty: nothing more will come
    std::int64_t known_tokens = 0;  // of the prompt
    bool over() const { return finished || !failure.empty(); }
  };
  // Waits at most so long for something new.
  News wait(std::chrono::milliseconds most);
  void cancel() { cancelled_ = true; }
  bool timed_out() const { return Clock::now() >= deadline_; }

  // When the first token came; for the measurements.
  std::optional<Clock::time_point> first_token() const;

 private:
  const Clock::time_point deadline_;
  const bool eager_;
  std::atomic<bool> cancelled_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  News news_;
  std::optional<Clock::time_point> first_token_;
};

}  // namespace attune
