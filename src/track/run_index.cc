#include "track/run_index.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "track/run_store.h"

namespace attune {
namespace {

constexpr std::chrono::seconds kBetween{5};  // two updates of a run that goes on

}  // namespace

RunIndex::RunIndex(fs::path run_folder) : folder_(std::move(run_folder)), thread_([this] { work(); }) {}

RunIndex::~RunIndex() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  refresh();
}

void RunIndex::note() {
  const std::lock_guard lock(mutex_);
  noted_ = true;
}

std::string RunIndex::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void RunIndex::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (std::exchange(noted_, false)) {
      lock.unlock();
      refresh();
      lock.lock();
    }
    changed_.wait_for(lock, kBetween, [this] { return stopping_; });
  }
}

void RunIndex::refresh() {
  std::string problem;
  try {
    RunStore(folder_.parent_path()).refresh(folder_);
  } catch (const UserError& error) {
    problem = error.what();  // the folder is the truth: `attune runs` catches up
  }
  const std::lock_guard lock(mutex_);
  problem_ = problem;
}

}  // namespace attune
