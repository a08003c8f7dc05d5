#include "conversation/wall_clock.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "conversation/calendar.h"
#include "conversation/text_marks.h"
#include "conversation/whatsapp_stamp.h"

namespace attune {
namespace {

constexpr std::int64_t kFirst = 100'000'000, kLast = 7'258'118'400;  // 1973, 2200

// Digits at `at`, exactly `width` of them; -1 when there are not.
int digits(std::string_view text, std::size_t at, std::size_t width) {
  if (at + width > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + width; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<std::int64_t> moment(int year, int width, int month, int day, int hour, int minute, int second) {
  const auto date = day_of(year, width, month, day);
  if (!date || hour < 0 || hour > 24 || minute < 0 || minute > 59 || second < 0 || second > 60) return std::nullopt;
  return date->day * kDaySeconds + hour * 3600 + minute * 60 + second;
}

// A stamp as WhatsApp writes it, with a date order that is known or that one number gives away.
std::optional<std::int64_t> parse_stamp(std::string_view text, DateOrder order) {
  const auto stamp = parse_whatsapp_stamp(std::string(text) + " - ");
  if (!stamp) return std::nullopt;
  const auto& date = stamp->date;
  if (stamp->width[0] > 2)
    order = DateOrder::kYearMonthDay;
  else if (order == DateOrder::kInfer)
    order = date[1] > 12 ? DateOrder::kMonthDayYear : DateOrder::kDayMonthYear;
  const bool year_first = order == DateOrder::kYearMonthDay, month_first = order == DateOrder::kMonthDayYear;
  int hour = stamp->hour;
  std::string half;
  for (const char c : stamp->words) {
    if (c >= 'a' && c <= 'z') half += c;
  }
  if (half == "pm" && hour < 12) hour += 12;
  if (half == "am" && hour == 12) hour = 0;
  const std::size_t year = year_first ? 0 : 2, month = month_first ? 0 : 1, day = year_first ? 2 : month_first ? 1 : 0;
  return moment(date[year], stamp->width[year], date[month], date[day], hour, stamp->minute, stamp->second);
}

}  // namespace

std::optional<std::int64_t> parse_iso_time(std::string_view text) {
  text = trim(text);
  if (text.size() < 16 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') || text[13] != ':') {
    return std::nullopt;
  }
  const bool seconds = text.size() > 16 && text[16] == ':';
  return moment(digits(text, 0, 4), 4, digits(text, 5, 2), digits(text, 8, 2), digits(text, 11, 2), digits(text, 14, 2),
                seconds ? digits(text, 17, 2) : 0);
}

namespace {

// What the numbers of a worded time are, whether or not there is such a time.
struct Worded {
  int year = 0, year_width = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

std::optional<Worded> read_worded(std::string_view text) {
  static constexpr std::string_view kMonths = "janfebmaraprmayjunjulaugsepoctnovdec";
  struct Number {
    int value = 0, width = 0;
    bool before_colon = false;
  };
  std::vector<Number> numbers;
  std::string word, half;
  int month = 0;
  const auto end_word = [&] {
    if (word.size() >= 3) {
      const std::size_t at = kMonths.find(std::string_view(word).substr(0, 3));
      if (at != std::string_view::npos && at % 3 == 0 && month == 0) month = static_cast<int>(at / 3) + 1;
    } else if (word == "am" || word == "pm") {
      half = word;
    }
    word.clear();
  };
  bool in_number = false;
  for (const char c : text.substr(0, 64)) {
    if (c >= '0' && c <= '9') {
      end_word();
      if (!in_number) numbers.emplace_back();
      Number& number = numbers.back();
      if (++number.width > 4) return std::nullopt;
      number.value = number.value * 10 + (c - '0');
      in_number = true;
      continue;
    }
    if (in_number && c == ':') numbers.back().before_colon = true;
    in_number = false;
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower >= 'a' && lower <= 'z')
      word += lower;
    else
      end_word();
    if ((c == '+' || c == '(') && numbers.size() >= 4) break;  // the zone
  }
  end_word();
  // Two numbers of the date, then the time; Unix's ctime() writes the year behind it.
  std::size_t time = 0;
  while (time < numbers.size() && !numbers[time].before_colon) ++time;
  if (month == 0 || time == 0 || time + 1 >= numbers.size()) return std::nullopt;
  const bool seconds = numbers[time + 1].before_colon && time + 2 < numbers.size();
  const std::size_t behind = time + (seconds ? 3 : 2);
  const bool year_last = time == 1;
  if (year_last && behind >= numbers.size()) return std::nullopt;
  const Number year = year_last ? numbers[behind] : numbers[1];
  int hour = numbers[time].value;
  if (half == "pm" && hour < 12) hour += 12;
  if (half == "am" && hour == 12) hour = 0;
  return Worded{year.value,
                year.width,
                month,
                numbers[0].value,
                hour,
                numbers[time + 1].value,
                seconds ? numbers[time + 2].value : 0};
}

}  // namespace

std::optional<std::int64_t> parse_worded_time(std::string_view text) {
  const auto read = read_worded(text);
  if (!read) return std::nullopt;
  return moment(read->year, read->year_width, read->month, read->day, read->hour, read->minute, read->second);
}

bool is_impossible_worded_time(std::string_view text) { return read_worded(text) && !parse_worded_time(text); }

std::optional<std::int64_t> seconds_of_epoch(std::int64_t count) {
  for (const std::int64_t unit :
       {std::int64_t{1}, std::int64_t{1000}, std::int64_t{1000000}, std::int64_t{1000000000}}) {
    if (count / unit >= kFirst && count / unit < kLast) return count / unit;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_any_time(std::string_view text, DateOrder order) {
  text = trim(text);
  std::int64_t count = 0;
  const std::size_t whole = std::min(text.find('.'), text.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + whole, count);
  if (error == std::errc() && end == text.data() + whole && text.find('.', whole + 1) == std::string_view::npos) {
    return seconds_of_epoch(count);
  }
  if (const auto iso = parse_iso_time(text)) return iso;
  if (digits(text, 0, 4) > 0 && text.size() == 10 && text[4] == '-') {
    return moment(digits(text, 0, 4), 4, digits(text, 5, 2), digits(text, 8, 2), 0, 0, 0);
  }
  if (const auto stamp = parse_stamp(text, order)) return stamp;
  return parse_worded_time(text);
}

}  // namespace attune
