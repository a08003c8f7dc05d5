// Delivers a run's pushes while it trains, on a thread of the lowest priority, so that nothing outside can stop or slow a
// step: whatever the Hub does, the training thread only writes to the spool.
#pragma once

#include <memory>
#include <string>

#include "hub/account.h"
#include "hub/spool.h"

namespace attune {

class BackgroundPusher {
 public:
  // Starts the thread. After a fault it waits 1 s, doubling to 5 minutes, and tries again.
  BackgroundPusher(fs::path run, HubAccount account);
  // Ends what is under way at once; what waits stays in the spool.
  ~BackgroundPusher();
  BackgroundPusher(const BackgroundPusher&) = delete;
  BackgroundPusher& operator=(const BackgroundPusher&) = delete;

  void wake();  // something new waits

  // Waits until nothing is pending, at most while deliveries go on: a fault, Ctrl-C or `seconds` without an end stop it.
  PushDelivery finish(double seconds);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attune
