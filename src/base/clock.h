// Seconds of a clock that only goes forward, since a moment that only differences mean anything of.
#pragma once

#include <chrono>

namespace attune {

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace attune
