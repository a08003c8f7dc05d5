// The report of a run while it goes on, on a page of this machine that renews itself.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"

namespace attune {

// Serves the run's report on 127.0.0.1 from a thread of its own until it is destroyed. The page is made anew for every
// request from what the run has written by then; a run that has not begun yet shows as such.
class LiveReport {
 public:
  // port 0: any free one. Throws UserError when the port is taken.
  explicit LiveReport(fs::path run_folder, int port = 0);
  ~LiveReport();
  LiveReport(const LiveReport&) = delete;
  LiveReport& operator=(const LiveReport&) = delete;

  const std::string& url() const;

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace attune
