// Delivery of a run's spool to one destination: in order, tried again with growing pauses, in a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "track/run_lock.h"
#include "track/spool.h"

namespace attune {

// A destination could not take what it was given, and may later. what() is the reason, for the user.
class NotNow : public UserError {
 public:
  using UserError::UserError;
};

// Where records go. Used by one thread.
class Destination {
 public:
  virtual ~Destination() = default;
  // "MLflow at http://host:5000": what a user is told.
  virtual std::string name() const = 0;
  // Once, before anything is delivered, while no other process delivers there: the sequence number of the last record
  // that is known to have arrived (0: none).
  virtual std::int64_t open() = 0;
  // Takes the records, in order; returns when all have arrived. Throws NotNow when they have not all arrived;
  // acknowledged() then says how far it came.
  virtual void deliver(std::span<const SpoolRecord> records) = 0;
  virtual std::int64_t acknowledged() const = 0;
  // Notes for the user that came up since the last call: what was refused for good, and why. May be empty.
  virtual std::vector<std::string> take_notes() { return {}; }
};

struct DeliveryState {
  std::string destination;
  std::int64_t acknowledged = 0, last = 0;  // of `last` records
  std::string problem;                      // why it does not go on at the moment; empty: nothing is wrong
  std::vector<std::string> notes;

  std::int64_t waiting() const { return last - acknowledged; }
};

struct DeliveryOptions {
  double gather = 1.0;       // seconds in which records gather before they are sent together
  double first_pause = 1.0;  // after a failure; doubles, with a random part, up to
  double longest_pause = 60.0;
};

// What a destination hears and says while it is at work.
struct DeliveryControl {
  std::function<bool()> cancelled;  // true: all has to stop
  std::function<void()> moved;      // a part of something long has arrived
};

// Makes the destination; called on the delivery thread.
using DestinationMaker = std::function<std::unique_ptr<Destination>(const DeliveryControl&)>;

// How long one waits for a delivery that does not move: seconds, and seconds when it has said that it cannot go on.
struct Patience {
  double silent = 15;
  double failing = 15;
};

// Starts delivering when made; ends, wherever it is, when destroyed. What is not delivered stays in the journal.
class Delivery {
 public:
  // `lock` keeps a second process from delivering the same; `writer` may be null (nothing is being appended).
  Delivery(fs::path journal, fs::path lock, SpoolWriter* writer, std::string name, DestinationMaker make,
           DeliveryOptions options = {});
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  DeliveryState state() const;
  // Waits until everything appended so far has arrived; false when nothing moved for as long as `patience` allows, or
  // when `stop` (asked ten times a second) is true.
  bool drain(const Patience& patience, const std::function<bool()>& stop);

 private:
  void work();
  bool pause(double seconds);  // false: all has to stop; ends early when someone waits for the end
  bool take_lock(std::optional<FileLock>& lock);
  void deliver_until_stopped();
  void report(Destination* destination, const std::string& problem);

  const fs::path journal_, lock_;
  SpoolWriter* const writer_;
  const DestinationMaker make_;
  const DeliveryOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  DeliveryState state_;
  bool hurry_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::int64_t> moves_ = 0;
  std::thread thread_;
};

}  // namespace attune
