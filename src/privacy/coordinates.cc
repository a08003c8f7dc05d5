// Places on the map.
//   decimal   47.497913, 19.040236: latitude and longitude in range, four or more decimals each (11 metres);
//             47,4979 19,0402 and 47,4979; 19,0402 where the decimals have a comma
//   degrees   47°29'52.5"N 19°02'24.9"E, seconds optional; N47°29'52" E19°02'25"; N 47° 29.875 E 019° 02.415;
//             47.4979° N, 19.0402° E
//   geo:      geo:47.4979,19.0402 (RFC 5870)
//   codes     8FVXFXXR+5V (Open Location Code, full)
// Left alone: prices, measurements and versions: one number, few decimals, or out of range; lists of numbers.
#include <charconv>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

constexpr std::size_t kLeastDecimals = 4;
constexpr std::size_t kFewestPairDigits = 2 * (1 + kLeastDecimals);  // of a pair

// "-12.345678" or "-12,345678" at `at`: moves behind it and sets `mark`, which must not be another than it was. The number
// of decimals, 0 when there is no such number.
std::size_t read_decimal(std::string_view text, std::size_t& at, int limit, char& mark) {
  std::size_t i = at;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const std::size_t whole = i;
  while (i < text.size() && is_digit(text[i])) ++i;
  if (i == whole || i - whole > 3 || i >= text.size()) return 0;
  if (text[i] != mark && (mark != '\0' || (text[i] != '.' && text[i] != ','))) return 0;
  mark = text[i];
  const std::size_t point = i++;
  while (i < text.size() && is_digit(text[i])) ++i;
  const std::size_t decimals = i - point - 1;
  if (decimals == 0 || decimals > 16) return 0;
  int degrees = 0;
  std::from_chars(text.data() + whole, text.data() + point, degrees);
  const bool beyond = text.substr(point + 1, decimals).find_first_not_of('0') != std::string_view::npos;
  if (degrees > limit || (degrees == limit && beyond)) return 0;
  at = i;
  return decimals;
}

// A number with this mark in it goes on at `begin`.
bool goes_on_from(std::string_view text, std::size_t begin, char mark) {
  return begin > 1 && text[begin - 1] == mark && is_digit(text[begin - 2]);
}

// The pair that begins at `begin`: its end, or 0.
std::size_t pair_at(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  char mark = '\0';
  if (read_decimal(text, at, 90, mark) < kLeastDecimals) return 0;
  if (mark == ',' && goes_on_from(text, begin, mark)) return 0;
  const std::size_t between = at;
  while (at < text.size() && (text[at] == ' ' || text[at] == ',' || text[at] == ';') && at - between < 3) ++at;
  // A comma alone does not part numbers that have one inside.
  if (at == between || (mark == ',' && at - between == 1 && text[between] == ',')) return 0;
  if (read_decimal(text, at, 180, mark) < kLeastDecimals) return 0;
  const bool goes_on = at + 1 < text.size() && text[at] == mark && is_digit(text[at + 1]);
  return goes_on || word_at(text, at) ? 0 : at;
}

bool take(std::string_view text, std::size_t& at, std::initializer_list<std::string_view> signs) {
  for (const std::string_view sign : signs) {
    if (text.substr(at).starts_with(sign)) {
      at += sign.size();
      return true;
    }
  }
  return false;
}

std::size_t read_number(std::string_view text, std::size_t& at, std::size_t most) {
  const std::size_t begin = at;
  while (at < text.size() && is_digit(text[at]) && at - begin < most) ++at;
  return at - begin;
}

bool read_compass(std::string_view text, std::size_t& at, std::string_view compass) {
  return at < text.size() && compass.find(text[at]) != std::string_view::npos && ++at;
}

// 47°29'52.5", 47° 29.875' or 47.4979°; where decimals make it plain, without the last sign.
bool read_degrees(std::string_view text, std::size_t& at) {
  const auto space = [&] {
    while (at < text.size() && text[at] == ' ') ++at;
  };
  if (read_number(text, at, 3) == 0) return false;
  const std::size_t decimals = take(text, at, {".", ","}) ? read_number(text, at, 16) : 0;
  if (!take(text, at, {"°", "º"})) return decimals >= kLeastDecimals;
  if (decimals > 0) return true;
  space();
  if (read_number(text, at, 2) == 0) return false;
  const bool exact = take(text, at, {".", ","}) && read_number(text, at, 8) > 0;
  if (!take(text, at, {"'", "′", "’"})) return exact;
  const std::size_t minutes_end = at;
  space();
  const bool seconds = read_number(text, at, 2) > 0;
  if (seconds && take(text, at, {".", ","})) read_number(text, at, 8);
  if (!seconds || !take(text, at, {"\"", "″", "”", "''", "′′"})) at = minutes_end;
  return true;
}

// Two of them, each with its letter of `compass` before it or behind it.
std::size_t degrees_at(std::string_view text, std::size_t begin) {
  constexpr std::string_view kLatitude = "NSns", kLongitude = "EWOew";
  std::size_t at = begin;
  const bool before = !is_digit(text[begin]);
  const auto part = [&](std::string_view compass) {
    const auto space = [&] {
      while (at < text.size() && text[at] == ' ') ++at;
    };
    if (before) {
      if (!read_compass(text, at, compass)) return false;
      space();
      return read_degrees(text, at);
    }
    if (!read_degrees(text, at)) return false;
    space();
    return read_compass(text, at, compass);
  };
  if (!part(kLatitude)) return 0;
  while (at < text.size() && (text[at] == ' ' || text[at] == ',' || text[at] == ';' || text[at] == '/')) ++at;
  return part(kLongitude) && !word_at(text, at) ? at : 0;
}

// Open Location Code: 8 of 20 characters that make no words, '+', 2 or 3 more.
std::size_t plus_code_at(std::string_view text, std::size_t begin) {
  constexpr std::string_view kAlphabet = "23456789CFGHJMPQRVWX";
  if (begin + 11 > text.size() || text[begin + 8] != '+') return 0;
  std::size_t end = begin;
  while (end < text.size() && (end == begin + 8 || kAlphabet.find(text[end]) != std::string_view::npos)) ++end;
  const std::size_t size = end - begin;
  return (size == 11 || size == 12) && !word_at(text, end) ? end : 0;
}

}  // namespace

void find_coordinates(std::string_view text, std::vector<Finding>& found) {
  const bool code = text.find('+') != text.npos, degrees = text.find("°") != text.npos || text.find("º") != text.npos;
  if (!code && !degrees && count_digits(text) < kFewestPairDigits) return;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const bool number = is_digit(c) || c == '-' || c == '+';
    const bool compass = (c == 'N' || c == 'S' || c == 'n' || c == 's') && i + 1 < text.size() &&
                         (is_digit(text[i + 1]) || text[i + 1] == ' ');
    const bool starts = number || compass || (code && c >= 'C' && c <= 'X');
    if (!starts || word_before(text, i) || goes_on_from(text, i, '.')) {
      ++i;
      continue;
    }
    std::size_t end = number ? pair_at(text, i) : 0;
    if (end == 0 && (is_digit(c) || compass)) end = degrees_at(text, i);
    if (end == 0 && code) end = plus_code_at(text, i);
    if (end == 0) {
      ++i;
      continue;
    }
    const std::size_t begin = i >= 4 && text.substr(i - 4, 4) == "geo:" ? i - 4 : i;
    found.push_back({begin, end, PrivateKind::kCoordinates, std::string(text.substr(i, end - i))});
    i = end;
  }
}

}  // namespace attune
