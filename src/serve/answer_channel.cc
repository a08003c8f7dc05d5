#include "serve/answer_channel.h"

#include <utility>

namespace attune {

void AnswerChannel::on_prompt(std::int64_t known_tokens) {
  const std::lock_guard lock(mutex_);
  news_.known_tokens = known_tokens;
  first_token_ = Clock::now();
}

bool AnswerChannel::on_token(const TokenChoice& choice) {
  {
    const std::lock_guard lock(mutex_);
    news_.tokens.push_back(choice);
  }
  if (eager_) changed_.notify_one();
  return !cancelled_;
}

void AnswerChannel::on_finish(FinishReason reason) {
  {
    const std::lock_guard lock(mutex_);
    news_.finished = reason;
  }
  changed_.notify_one();
}

void AnswerChannel::fail(const std::string& message) {
  {
    const std::lock_guard lock(mutex_);
    news_.failure = message;
  }
  changed_.notify_one();
}

AnswerChannel::News AnswerChannel::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, most, [&] { return news_.over() || (eager_ && !news_.tokens.empty()); });
  News taken = news_;
  news_.tokens.clear();
  return taken;
}

std::optional<AnswerChannel::Clock::time_point> AnswerChannel::first_token() const {
  const std::lock_guard lock(mutex_);
  return first_token_;
}

}  // namespace attune
