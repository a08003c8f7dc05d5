// The thread that runs the engine, and the queue in front of it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "generate/engine.h"
#include "serve/answer_channel.h"
#include "serve/metrics.h"

namespace attune {

// Thread-safe. Keeps references to the engine, which nobody else may touch meanwhile, and the metrics.
class Dispatcher {
 public:
  Dispatcher(Engine& engine, Metrics& metrics, std::int64_t queue_limit);
  ~Dispatcher();  // stop()

  // ApiError: 400 when the request can never run, 429 when so many wait that it should come back later, 503 after
  // stop().
  void submit(SequenceRequest request, std::shared_ptr<AnswerChannel> channel);

  // Takes nothing more; what is under way is given so long to end, then ended.
  void stop(std::chrono::milliseconds grace = {});

 private:
  struct Waiting {
    SequenceRequest request;
    std::shared_ptr<AnswerChannel> channel;
  };
  void run();
  bool take_requests();  // false: the work is over
  void step();

  Engine& engine_;
  Metrics& metrics_;
  const std::int64_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting> incoming_;
  std::vector<std::weak_ptr<AnswerChannel>> channels_;  // of the engine's thread
  std::int64_t queued_ = 0;                             // incoming, and waiting in the engine
  std::optional<AnswerChannel::Clock::time_point> stop_at_;
  std::thread thread_;
};

}  // namespace attune
