// What a measure calls after each piece of its work.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

namespace attune {

struct EvalWatch {
  std::function<void(std::string_view what, std::int64_t done, std::int64_t total)> show;  // may be empty

  // Throws Interrupted after Ctrl-C.
  void step(std::string_view what, std::int64_t done, std::int64_t total) const {
    if (interrupt_requested()) throw Interrupted("[eval] stopped; nothing was written");
    if (show) show(what, done, total);
  }
  // The same as what answer_all() calls.
  std::function<void(std::int64_t done)> counting(std::string what, std::size_t total) const {
    return [watch = *this, what = std::move(what), total](std::int64_t done) {
      watch.step(what, done, static_cast<std::int64_t>(total));
    };
  }
};

}  // namespace attune
