#include "hub/background.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"

namespace attune {
namespace {

constexpr double kFirstWait = 1, kLongestWait = 300;  // seconds between attempts

// Linux gives every thread its own priority: this one runs when no other wants the processor.
void yield_to_everybody() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 19);
}

// Waiting is this file's work; within an attempt only what passes at once is tried again.
RetryPolicy few_retries() {
  RetryPolicy policy;
  policy.retries = 2;
  return policy;
}

}  // namespace

struct BackgroundPusher::State {
  fs::path run;
  HubApi api;
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::condition_variable changed;
  bool woken = true;  // guarded by mutex, as all below
  bool idle = false;  // nothing waits, or the last attempt failed
  PushDelivery last;
  std::thread thread;

  State(fs::path folder, HubAccount account)
      : run(std::move(folder)),
        api(
            std::move(account), [this] { return stop.load(); }, few_retries()),
        thread([this] { work(); }) {}

  void work() {
    yield_to_everybody();
    double wait = kFirstWait;
    while (!stop) {
      {
        std::unique_lock lock(mutex);
        const auto pause = std::chrono::duration<double>(last.pending > 0 ? wait : kLongestWait);
        changed.wait_for(lock, pause, [this] { return woken || stop; });
        woken = false;
        idle = false;
      }
      PushDelivery delivery;
      try {
        if (!stop) delivery = deliver_pending_pushes(run, api);
      } catch (const std::exception& error) {  // Interrupted by stop, or a fault of ours: training must not notice
        delivery.pending = static_cast<int>(pending_pushes(run).size());
        delivery.problem = error.what();
      }
      wait = delivery.pending == 0 || delivery.delivered > 0 ? kFirstWait : std::min(wait * 2, kLongestWait);
      const std::lock_guard lock(mutex);
      last = delivery;
      idle = !woken;
      changed.notify_all();
    }
  }
};

BackgroundPusher::BackgroundPusher(fs::path run, HubAccount account)
    : state_(std::make_unique<State>(std::move(run), std::move(account))) {}

BackgroundPusher::~BackgroundPusher() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void BackgroundPusher::wake() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->woken = true;
    state_->idle = false;
  }
  state_->changed.notify_all();
}

PushDelivery BackgroundPusher::finish(double seconds) {
  wake();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::unique_lock lock(state_->mutex);
  while (!state_->idle && std::chrono::steady_clock::now() < end && !interrupt_requested()) {
    state_->changed.wait_for(lock, std::chrono::milliseconds(100));
  }
  PushDelivery delivery = state_->last;
  delivery.pending = static_cast<int>(pending_pushes(state_->run).size());
  return delivery;
}

}  // namespace attune
