// What comes with the program: the bundled model, its chat, the prompts of `attune synth`.
#pragma once

#include "base/file.h"

namespace attune {

// assets/ of the source tree that the program was built in, or of an installation. UserError when neither is there.
fs::path find_assets();

}  // namespace attune
