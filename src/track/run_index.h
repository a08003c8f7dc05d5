// Keeps runs.sqlite up to date while a run trains, in a thread of its own: the database may be slow or locked, the run
// does not wait for it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/file.h"

namespace attune {

class RunIndex {
 public:
  explicit RunIndex(fs::path run_folder);  // runs.sqlite lies beside it
  ~RunIndex();                             // brings the row up to date once more
  RunIndex(const RunIndex&) = delete;
  RunIndex& operator=(const RunIndex&) = delete;

  void note();                  // something has changed; never waits
  std::string problem() const;  // of the last attempt; empty: none

 private:
  void work();
  void refresh();
  const fs::path folder_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool noted_ = true, stopping_ = false;
  std::string problem_;
  std::thread thread_;
};

}  // namespace attune
