// Days of the calendars that phones write dates in. Only order and distance of messages matter to us, so
// every calendar maps to a day number. The calendar follows from the year alone: no two overlap in the years
// of chat programs.
//   Gregorian 1970-2199 | Buddhist (Thailand) 2513-2742 | Solar Hijri (Iran) 1388-1429 | Hijri 1430-1499 |
//   Minguo (Taiwan) 98-199, three digits or more
#pragma once

#include <cstdint>
#include <optional>

namespace attune {

constexpr std::int64_t kDaySeconds = 86400;

// Days since 1970-01-01 of a Gregorian date; the date must exist.
std::int64_t days_from_civil(int year, int month, int day);

struct CalendarDay {
  std::int64_t day = 0;  // days since 1970-01-01
  int year = 0;          // Gregorian (approximate for the two Hijri calendars)
};

// The day that (year, month, day) names, or nullopt when no calendar has it. `digits` is the number of digits
// the year was written with: 2 means 20yy.
std::optional<CalendarDay> day_of(int year, int digits, int month, int day);

}  // namespace attune
