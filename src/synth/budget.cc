#include "synth/budget.h"

namespace attune {

bool Budget::reserve(double most) {
  std::unique_lock lock(mutex_);
  if (limit_)
    changed_.wait(lock,
                  [&] { return under_way_ == 0 || spent_ + most > *limit_ || spent_ + reserved_ + most <= *limit_; });
  if (limit_ && spent_ + reserved_ + most > *limit_) return false;
  reserved_ += most;
  ++under_way_;
  return true;
}

void Budget::settle(double reserved, double cost) {
  {
    const std::lock_guard lock(mutex_);
    spent_ += cost;
    --under_way_;
    reserved_ = under_way_ == 0 ? 0 : reserved_ - reserved;
  }
  changed_.notify_all();
}

double Budget::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

}  // namespace attune
