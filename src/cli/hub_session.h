// The Hub as a command at the terminal meets it: Ctrl-C ends what is under way, and waiting is said, not silent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/progress.h"
#include "hub/api.h"

namespace attune {

HubApi open_hub(HubAccount account);

// A progress bar of bytes; none for what is done in a moment. A new title begins a new bar.
class TransferBar {
 public:
  void update(const std::string& title, std::uint64_t done, std::uint64_t total, const std::string& details = "");
  void finish() { bar_.reset(); }

 private:
  std::unique_ptr<Progress> bar_;
  std::string title_;
  std::uint64_t scale_ = 1;
};

}  // namespace attune
