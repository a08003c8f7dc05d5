// Pushes that wait in a run's folder until the Hub takes them:
//
//   RUN/hub/pending/000000100/push.json     where to, with what message; written last, with its folder
//   RUN/hub/pending/000000100/files/        what: hard links to the checkpoint's files, and the card
//   RUN/hub/delivered.jsonl                 one line for each push that arrived
//   RUN/hub/lock                            held while somebody delivers
//
// The folder outlives the checkpoint it came from, the process and the day. Each push is one commit with a mark, so that
// delivering it twice leaves one commit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/api.h"

namespace attune {

struct PushTarget {
  std::string repo;  // namespace/name
  bool is_private = true;
  bool branch_per_step = false, tag_per_step = false;
  std::string base_model, license;  // of the card; empty: as the run says
};

// Adds a push of `folder` (a checkpoint or a result, immutable from now on) as it is at `step`. Sends nothing, reads only
// small files. Returns what will be sent, by its paths in the repository; does nothing and returns nothing when a push of
// that step waits or has been delivered. UserError on a full disk.
std::vector<std::string> spool_push(const fs::path& run, const PushTarget& target, const fs::path& folder,
                                    std::int64_t step, const std::string& message);

std::vector<std::int64_t> pending_pushes(const fs::path& run);  // steps, ascending
std::int64_t last_spooled_step(const fs::path& run);            // waiting or delivered; -1: none

struct PushDelivery {
  int delivered = 0, pending = 0;
  std::string problem;  // why some still wait; empty when none does
};

// Sends what waits, in order, and stops at the first that fails. Never throws for what the Hub or the network does: that is
// `problem`. Throws Interrupted when cancelled. When another process delivers already, says so and does nothing.
PushDelivery deliver_pending_pushes(const fs::path& run, HubApi& api);

// The same with the account of the environment: what `attune sync RUN` calls. Does not look at the environment when
// nothing waits.
PushDelivery deliver_pending_pushes(const fs::path& run);

}  // namespace attune
