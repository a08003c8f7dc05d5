// What comes with the program: the bundled model, its chat, the prompts of `attune synth`.
#pragma once

#include "base/error.h"
#include "base/file.h"

namespace attune {

class NoAssets : public UserError {
 public:
  using UserError::UserError;
};

// assets/ of the source tree that the program was built in, or of an installation. NoAssets when neither is there.
fs::path find_assets();

}  // namespace attune
