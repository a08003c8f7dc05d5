#include "cli/hub_session.h"

#include <fmt/format.h>

namespace attune {

HubApi open_hub(HubAccount account) {
  RetryPolicy policy;
  policy.on_wait = [](const std::string& why, double seconds) {
    fmt::print(stderr, "waiting   {:.0f} s, then once more: {}\n", seconds, why);
  };
  return HubApi(std::move(account), interrupt_requested, std::move(policy));
}

void TransferBar::update(const std::string& title, std::uint64_t done, std::uint64_t total,
                         const std::string& details) {
  constexpr std::uint64_t kMoment = 1'000'000, kMany = 100'000'000;  // bytes
  if (total < kMoment) return;
  if (title != title_ || !bar_) {
    bar_.reset();
    title_ = title;
    scale_ = total < kMany ? 1000 : 1'000'000;
    bar_ = std::make_unique<Progress>(title, total < kMany ? "kB" : "MB", total / scale_);
  }
  bar_->update(done / scale_, details);
}

}  // namespace attune
