// The files that come with the program.
#pragma once

#include "base/file.h"

namespace attune {

// assets/ of the source tree that the program was built in, or of an installation. UserError when it is not there.
fs::path find_assets();

}  // namespace attune
