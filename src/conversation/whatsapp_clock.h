// What the numbers and words of an export's stamps mean, decided from all of them together: which number is
// the day, whether the clock has 12 or 24 hours, and which word is the afternoon.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conversation/importer.h"
#include "conversation/whatsapp_stamp.h"

namespace attune {

struct WhatsAppClock {
  // One per stamp: seconds since 1970 on the phone's clock. nullopt: no entry begins here; the stamp has
  // another form than the file's (a quoted piece of another chat) or names a day that does not exist.
  std::vector<std::optional<std::int64_t>> times;
  std::string dates;  // "day/month/year: 412 of 900 entries have a first number above 12"
  std::string clock;  // "12-hour (am, pm)"
};

// `order` other than kInfer is obeyed; UserError (beginning with [where]) when most dates do not exist in it.
WhatsAppClock read_whatsapp_clock(std::span<const WhatsAppStamp> stamps, DateOrder order,
                                  const std::string& where);

}  // namespace attune
