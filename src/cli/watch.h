// Looking at a run from outside: the process that trains it need not know.
#pragma once

#include <string>

namespace attune {

// Draws the progress of the run in `folder` from what it has written, until it ends or Ctrl-C. Throws UserError when the
// folder is not a run.
void watch_run(const std::string& folder);

// Asks the desktop to show a page; without one nothing happens, the address has been printed.
void open_in_browser(const std::string& url);

}  // namespace attune
