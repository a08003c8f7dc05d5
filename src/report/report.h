// The report of a run: one HTML file with its pictures, no script needed and nothing loaded from anywhere.
#pragma once

#include <string>

#include "report/run_record.h"

namespace attune {

// The whole page. Readable on a phone, dark and light. Opened from a web server (train --open) it renews itself every two
// seconds while the run goes on; opened as a file it stands still.
std::string html_report(const RunRecord& run);

}  // namespace attune
