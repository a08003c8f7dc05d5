// What the numbers and words of an export's stamps mean, decided from all of them together: which number is
// the day, whether the clock has 12 or 24 hours, and which word is the afternoon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/spill.h"
#include "conversation/importer.h"
#include "conversation/whatsapp_stamps.h"

namespace attune {

// Seconds since 1970 on the phone's clock, or nothing, by the million.
class WhatsAppTimes {
 public:
  void push_back(std::optional<std::int64_t> time) { times_.push_back(time.value_or(kNone)); }
  std::size_t size() const { return times_.size(); }
  std::optional<std::int64_t> operator[](std::size_t i) const {
    return times_[i] == kNone ? std::nullopt : std::optional(times_[i]);
  }

 private:
  static constexpr std::int64_t kNone = INT64_MIN;
  SpillVector<std::int64_t> times_;
};

struct WhatsAppClock {
  // One per stamp. nullopt: no entry begins here; the stamp has
  // another form than the file's (a quoted piece of another chat) or names a day that does not exist.
  WhatsAppTimes times;
  std::vector<bool> accepted;  // of each shape of the stamps: whether it is a form of the file's
  std::string dates;           // "day/month/year: 412 of 900 entries have a first number above 12"
  std::string clock;           // "12-hour (am, pm)"
};

// `order` other than kInfer is obeyed; UserError (beginning with [where]) when most dates do not exist in it.
WhatsAppClock read_whatsapp_clock(const WhatsAppStamps& stamps, DateOrder order, const std::string& where);

}  // namespace attune
