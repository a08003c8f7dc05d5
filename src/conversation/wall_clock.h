// Times as exports write them -> seconds of the clock on the wall where they were written: an offset or zone is read
// and left aside, since sessions are made of pauses and hours of the day, and other exports name no zone at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "conversation/importer.h"

namespace attune {

// ISO 8601 and its relatives: "2024-01-15T10:30:00.123+01:00", "2024-01-15 10:30", "2024-01-15T10:30:00Z". nullopt when
// it is not one or the day does not exist.
std::optional<std::int64_t> parse_iso_time(std::string_view text);

// Dates with the month as an English word: "Thu, 24 Dec 2020 14:54:48 +0100" (RFC 5322), "15-Jan-24 10:30 AM", "Jan 15,
// 2024, 10:30:05 PM". nullopt when there is no month, day, year and time in it.
std::optional<std::int64_t> parse_worded_time(std::string_view text);
// Whether the text reads as such a time, but there is none: "Mon, 35 Jan 2024 10:77".
bool is_impossible_worded_time(std::string_view text);

// Also seconds, milliseconds, microseconds or nanoseconds since 1970 (told apart by their size), and dates with
// slashes or dots read in the given order ("31/12/2023 21:41:05", "12/31/23 9:41 PM"), and those of the two above.
std::optional<std::int64_t> parse_any_time(std::string_view text, DateOrder order);

// Seconds since 1970 from a count that is in seconds, milliseconds, microseconds or nanoseconds: whichever gives a
// year between 1973 and 2200.
std::optional<std::int64_t> seconds_of_epoch(std::int64_t count);

}  // namespace attune
