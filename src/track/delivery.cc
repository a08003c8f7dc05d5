#include "track/delivery.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/rng.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostRecords = 1000;  // in one call of deliver()
constexpr double kHurriedPause = 0.02;      // between looks at the journal while someone waits for its end

double seconds_since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

std::int64_t last_sequence_of(const fs::path& journal) {
  SpoolReader reader(journal);
  std::int64_t last = 0;
  while (const auto record = reader.next()) last = record->sequence;
  return last;
}

}  // namespace

Delivery::Delivery(fs::path journal, fs::path lock, SpoolWriter* writer, std::string name, DestinationMaker make,
                   DeliveryOptions options)
    : journal_(std::move(journal)), lock_(std::move(lock)), writer_(writer), make_(std::move(make)), options_(options) {
  state_.destination = std::move(name);
  state_.last = writer_ != nullptr ? writer_->last_sequence() : last_sequence_of(journal_);
  thread_ = std::thread([this] { work(); });
}

Delivery::~Delivery() {
  stopping_ = true;
  changed_.notify_all();
  thread_.join();
}

DeliveryState Delivery::state() const {
  const std::lock_guard lock(mutex_);
  DeliveryState state = state_;
  if (writer_ != nullptr) state.last = writer_->last_sequence();
  return state;
}

bool Delivery::drain(const Patience& patience, const std::function<bool()>& stop) {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  changed_.notify_all();
  Clock::time_point moved = Clock::now();
  std::pair<std::int64_t, std::int64_t> place{-1, -1};
  while (true) {
    const DeliveryState now = state();
    if (now.waiting() <= 0) return true;
    if (stop && stop()) return false;
    if (const std::pair<std::int64_t, std::int64_t> here{now.acknowledged, moves_}; here != place) {
      place = here;
      moved = Clock::now();
    }
    if (seconds_since(moved) > (now.problem.empty() ? patience.silent : patience.failing)) return false;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
}

bool Delivery::pause(double seconds) {
  std::unique_lock lock(mutex_);
  const bool hurried = hurry_;
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  changed_.wait_until(lock, until, [&] { return stopping_ || hurry_ != hurried; });
  return !stopping_;
}

void Delivery::report(Destination* destination, const std::string& problem) {
  {
    const std::lock_guard lock(mutex_);
    if (destination != nullptr) {
      state_.destination = destination->name();
      state_.acknowledged = destination->acknowledged();
      for (std::string& note : destination->take_notes()) state_.notes.push_back(std::move(note));
    }
    state_.problem = problem;
  }
  changed_.notify_all();
}

bool Delivery::take_lock(std::optional<FileLock>& lock) {
  while (!(lock = FileLock::try_lock(lock_))) {
    report(nullptr, fmt::format("[{}] another process delivers this run", lock_.string()));
    if (!pause(options_.gather)) return false;
  }
  return true;
}

// Nothing that goes wrong here may reach the training thread: every fault is a problem to report and a pause.
void Delivery::work() {
  std::optional<FileLock> lock;
  for (double wait = options_.first_pause; !stopping_; wait = std::min(2 * wait, options_.longest_pause)) {
    try {
      if (!lock && !take_lock(lock)) return;
      deliver_until_stopped();
    } catch (const std::exception& error) {
      report(nullptr, error.what());
      pause(wait);
    }
  }
}

void Delivery::deliver_until_stopped() {
  const auto destination = make_({[this] { return stopping_.load(); }, [this] { ++moves_; }});
  SpoolReader reader(journal_, destination->open());
  report(destination.get(), "");
  Rng random{.seed = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count())};
  std::vector<SpoolRecord> batch;
  std::int64_t synced = 0;
  double wait = options_.first_pause;
  while (!stopping_) {
    if (writer_ != nullptr && writer_->last_sequence() != synced) {
      const std::int64_t last = writer_->last_sequence();
      if (writer_->sync()) synced = last;
    }
    while (batch.size() < kMostRecords) {
      auto record = reader.next();
      if (!record) break;
      batch.push_back(*std::move(record));
    }
    const bool full = batch.size() == kMostRecords;
    try {
      if (!batch.empty()) {
        destination->deliver(batch);
        batch.clear();
        report(destination.get(), "");
      }
      wait = options_.first_pause;
      if (full) continue;
      bool hurried = false;
      {
        const std::lock_guard lock(mutex_);
        hurried = hurry_;
      }
      pause(hurried ? kHurriedPause : options_.gather);
    } catch (const UserError& error) {
      const std::int64_t arrived = destination->acknowledged();
      std::erase_if(batch, [&](const SpoolRecord& record) { return record.sequence <= arrived; });
      report(destination.get(), error.what());
      pause(wait * (0.75 + 0.5 * random.uniform_float()));
      wait = std::min(2 * wait, options_.longest_pause);
    }
  }
}

}  // namespace attune
