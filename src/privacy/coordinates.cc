// Places on the map.
//   decimal   47.497913, 19.040236: latitude and longitude in range, four or more decimals each (11 metres)
//   degrees   47°29'52.5"N 19°02'24.9"E, with minutes, seconds optional
//   geo:      geo:47.4979,19.0402 (RFC 5870)
//   codes     8FVXFXXR+5V (Open Location Code, full)
// Left alone: prices, measurements and versions: one number, few decimals, or out of range.
#include <charconv>
#include <cmath>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

constexpr std::size_t kLeastDecimals = 4;
constexpr std::size_t kFewestPairDigits = 2 * (1 + kLeastDecimals);  // of a pair

// "-12.345678" at `at`: moves behind it. The number of decimals, 0 when there is no such number.
std::size_t read_decimal(std::string_view text, std::size_t& at, double limit) {
  std::size_t i = at;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const std::size_t whole = i;
  while (i < text.size() && is_digit(text[i])) ++i;
  if (i == whole || i - whole > 3 || i >= text.size() || text[i] != '.') return 0;
  const std::size_t point = i++;
  while (i < text.size() && is_digit(text[i])) ++i;
  const std::size_t decimals = i - point - 1;
  double value = 0;
  std::from_chars(text.data() + whole, text.data() + i, value);
  if (decimals == 0 || decimals > 16 || value > limit) return 0;
  at = i;
  return decimals;
}

// The pair that begins at `begin`: its end, or 0.
std::size_t pair_at(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  if (read_decimal(text, at, 90) < kLeastDecimals) return 0;
  const std::size_t between = at;
  while (at < text.size() && (text[at] == ' ' || text[at] == ',' || text[at] == ';') && at - between < 3) ++at;
  if (at == between) return 0;
  if (read_decimal(text, at, 180) < kLeastDecimals) return 0;
  const bool goes_on = at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1]);
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

// 47°29'52.5"N or 47° 29.8750' N, `compass` the letters allowed at the end.
bool read_degrees(std::string_view text, std::size_t& at, std::string_view compass) {
  const auto space = [&] {
    while (at < text.size() && text[at] == ' ') ++at;
  };
  if (read_number(text, at, 3) == 0 || !take(text, at, {"°", "º"})) return false;
  space();
  if (read_number(text, at, 2) == 0) return false;
  if (take(text, at, {"."})) read_number(text, at, 8);
  if (!take(text, at, {"'", "′", "’"})) return false;
  space();
  if (const std::size_t minutes_end = at; read_number(text, at, 2) > 0) {
    if (take(text, at, {".", ","})) read_number(text, at, 8);
    if (!take(text, at, {"\"", "″", "”", "''", "′′"})) at = minutes_end;
  }
  space();
  return at < text.size() && compass.find(text[at]) != std::string_view::npos && ++at;
}

std::size_t degrees_at(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  if (!read_degrees(text, at, "NSns")) return 0;
  while (at < text.size() && (text[at] == ' ' || text[at] == ',' || text[at] == ';' || text[at] == '/')) ++at;
  return read_degrees(text, at, "EWOew") && !word_at(text, at) ? at : 0;
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
    const bool starts = is_digit(c) || c == '-' || c == '+' || (c >= 'C' && c <= 'X');
    if (!starts || word_before(text, i) || (i > 1 && text[i - 1] == '.' && is_digit(text[i - 2]))) {
      ++i;
      continue;
    }
    std::size_t end = pair_at(text, i);
    if (end == 0 && is_digit(c)) end = degrees_at(text, i);
    if (end == 0) end = plus_code_at(text, i);
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
