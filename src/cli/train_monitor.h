// What a recipe has measured beside the held-out loss.
#pragma once

#include "eval/monitor.h"

namespace attune {

// Reads the general texts, the recipe's own or the bundled ones. Throws UserError/BadFile; where the bundled ones are not
// beside the program, forgetting is not measured, which is said, and an error when the recipe stops by it.
MonitorOptions monitor_options(const Recipe& recipe);

}  // namespace attune
