#include "conversation/chat_log.h"

namespace attune {

std::string_view drop_name(Drop reason) {
  static constexpr std::array<std::string_view, kDropReasons> kNames = {
      "system", "media", "deleted",   "call",       "location",   "contact",
      "poll",   "empty", "duplicate", "without_me", "unprompted", "unanswered",
      "only_links", "only_signs", "repeated", "near_repeated"};
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace attune
