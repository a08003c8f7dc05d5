// Header fields with a structure of their own. They come from outside: any text is accepted, and what is not understood
// says nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace attune {

// The URL with rel="next" of a Link field (RFC 8288), as written there.
std::optional<std::string> next_link(std::string_view link);

// Seconds that the server asks to wait, from 0 to a day: Retry-After in seconds or as a date (RFC 9110, counted from
// `unix_now`), else the Hub's `RateLimit: "api";r=0;t=55`, one second more than its t when nothing remains (r=0).
std::optional<double> asked_wait(const Headers& headers, double unix_now);

}  // namespace attune
