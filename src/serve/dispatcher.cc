#include "serve/dispatcher.h"

#include <fmt/format.h>

#include <exception>

#include "base/error.h"
#include "serve/api_error.h"

namespace attune {

Dispatcher::Dispatcher(Engine& engine, Metrics& metrics, std::int64_t queue_limit)
    : engine_(engine), metrics_(metrics), queue_limit_(queue_limit) {
  metrics_.set_load(engine_.load(), 0);
  thread_ = std::thread([this] { run(); });
}

Dispatcher::~Dispatcher() { stop(); }

void Dispatcher::submit(SequenceRequest request, std::shared_ptr<AnswerChannel> channel) {
  try {
    engine_.check(request);
  } catch (const UserError& error) {
    const bool too_long = std::string_view(error.what()).starts_with("[prompt] has ");
    throw ApiError(400, error.what(), too_long ? "messages" : "", too_long ? "context_length_exceeded" : "");
  }
  const std::lock_guard lock(mutex_);
  if (stop_at_) throw ApiError(503, "the server is shutting down", "", "shutting_down", 5);
  if (queued_ >= queue_limit_) {
    throw ApiError(429, fmt::format("{} requests are waiting already; try again in a moment", queued_), "",
                   "queue_full", 1);
  }
  ++queued_;
  incoming_.push_back({std::move(request), std::move(channel)});
  changed_.notify_one();
}

void Dispatcher::stop(std::chrono::milliseconds grace) {
  {
    const std::lock_guard lock(mutex_);
    if (!stop_at_) stop_at_ = AnswerChannel::Clock::now() + grace;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Dispatcher::take_requests() {
  std::vector<Waiting> taken;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stop_at_ || !incoming_.empty() || !engine_.idle(); });
    if (stop_at_ && incoming_.empty() && engine_.idle()) return false;
    taken.swap(incoming_);
  }
  for (Waiting& waiting : taken) {
    channels_.push_back(waiting.channel);
    engine_.add(std::move(waiting.request), std::move(waiting.channel));
  }
  return true;
}

void Dispatcher::step() {
  std::erase_if(channels_, [](const auto& channel) { return channel.expired(); });
  const auto begun = AnswerChannel::Clock::now();
  try {
    const PassReport report = engine_.step();
    metrics_.count_step(report, std::chrono::duration<double>(AnswerChannel::Clock::now() - begun).count());
  } catch (const std::exception& error) {
    // Memory or a fault of ours: these answers are lost, the next ones may well succeed.
    for (const auto& weak : channels_) {
      if (const auto channel = weak.lock()) channel->fail(error.what());
    }
    channels_.clear();
  }
}

void Dispatcher::run() {
  while (take_requests()) {
    step();
    const EngineLoad load = engine_.load();
    const std::lock_guard lock(mutex_);
    queued_ = std::ssize(incoming_) + load.waiting;
    metrics_.set_load(load, queued_);
    if (stop_at_ && AnswerChannel::Clock::now() >= *stop_at_) {
      for (const auto& weak : channels_) {
        if (const auto channel = weak.lock()) channel->cancel();
      }
    }
  }
}

}  // namespace attune
