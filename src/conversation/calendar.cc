#include "conversation/calendar.h"

namespace attune {
namespace {

bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int month_days(int year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

// Solar Hijri: months of 31 days, then of 30, the last of 29 or 30. The 33-year rule is exact for 1343-1472.
bool is_leap_solar_hijri(int year) {
  const int r = year % 33;
  return r == 1 || r == 5 || r == 9 || r == 13 || r == 17 || r == 22 || r == 26 || r == 30;
}

std::optional<CalendarDay> solar_hijri(int year, int month, int day) {
  const int length = month <= 6 ? 31 : month <= 11 ? 30 : is_leap_solar_hijri(year) ? 30 : 29;
  if (day > length) return std::nullopt;
  std::int64_t days = days_from_civil(2009, 3, 21);  // 1 Farvardin 1388
  for (int y = 1388; y < year; ++y) days += is_leap_solar_hijri(y) ? 366 : 365;
  days += month <= 7 ? (month - 1) * 31 : 186 + (month - 7) * 30;
  return CalendarDay{days + day - 1, year + 621};
}

// The tabular Islamic calendar (30-year cycle, leap years 2, 5, 7, 10, 13, 16, 18, 21, 24, 26, 29). A phone
// may use Umm al-Qura, which differs by a day now and then: harmless for order and gaps.
std::optional<CalendarDay> hijri(int year, int month, int day) {
  const auto leap_years_before = [](std::int64_t y) { return (11 * (y - 1) + 14) / 30; };
  const bool leap = leap_years_before(year + 1) > leap_years_before(year);
  if (day > (month % 2 == 1 || (month == 12 && leap) ? 30 : 29)) return std::nullopt;
  const std::int64_t months = (month - 1) * 29 + month / 2;
  const std::int64_t epoch = -492148;  // 1 Muharram 1 AH: 622-07-19 Gregorian (civil epoch)
  const std::int64_t days = epoch + (year - 1) * std::int64_t{354} + leap_years_before(year) + months + day - 1;
  return CalendarDay{days, 1970 + static_cast<int>(days / 365)};
}

}  // namespace

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years start in March, eras of 400 years.
std::int64_t days_from_civil(int year, int month, int day) {
  year -= month <= 2;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const int year_of_era = year - era * 400;
  const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return std::int64_t{era} * 146097 + day_of_era - 719468;
}

std::optional<CalendarDay> day_of(int year, int digits, int month, int day) {
  if (month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  if (digits <= 2) year += 2000;
  if (year >= 1388 && year < 1430) return solar_hijri(year, month, day);
  if (year >= 1430 && year < 1500) return hijri(year, month, day);
  if (year >= 2513 && year < 2743) year -= 543;               // Buddhist
  if (digits >= 3 && year >= 98 && year < 200) year += 1911;  // Minguo
  if (year < 1970 || year >= 2200 || day > month_days(year, month)) return std::nullopt;
  return CalendarDay{days_from_civil(year, month, day), year};
}

}  // namespace attune
