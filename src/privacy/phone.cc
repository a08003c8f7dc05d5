// Phone numbers.
//   international  +36 30 123 4567, 0036301234567, +44 (0)20 7946 0958, +1-212-555-0123, @36301234567 (a mention):
//                  a country code of ITU-T E.164 and as many digits as that country's numbers have
//   national       only forms that hardly anything else has:
//                    Hungary        06 30 123 4567, 06-1-234-5678, 06 52 123 456, 30/123-4567
//                    North America  (212) 555-0123, 212-555-0123, 212.555.0123, all with 1 before them too
//                    France         06 12 34 56 78
//                    elsewhere      a 0, the area and a number of one to three groups: 020 7946 0958, 0161 496 0000,
//                                   01632 960001, 030 1234567, 0221/123456, 0171 12345678, 044 123 45 67
// Left alone: dates, times, versions, addresses of machines, amounts, coordinates, order and tracking numbers, and what
// goes on as a longer number.
#include <algorithm>
#include <array>
#include <numeric>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

constexpr std::string_view kSeparators = "./()";
constexpr std::size_t kFewestPhoneDigits = 8;  // +39 and six more

struct CallingCode {
  std::string_view code;
  std::size_t least, most;  // digits after the code
};
// E.164 country codes, longest match first where one begins another. Where the lengths are not listed: 6 to 12.
constexpr std::array<CallingCode, 60> kCallingCodes = {{
    {"1", 10, 10},  {"7", 10, 10},  {"20", 8, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},  {"32", 8, 9},
    {"33", 9, 9},   {"34", 9, 9},   {"36", 8, 9},   {"39", 6, 11},  {"40", 9, 9},   {"41", 9, 9},  {"43", 6, 12},
    {"44", 9, 10},  {"45", 8, 8},   {"46", 7, 9},   {"47", 8, 8},   {"48", 9, 9},   {"49", 7, 11}, {"51", 8, 9},
    {"52", 10, 10}, {"54", 10, 11}, {"55", 10, 11}, {"56", 9, 9},   {"57", 8, 10},  {"60", 8, 10}, {"61", 9, 9},
    {"62", 8, 12},  {"63", 9, 10},  {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10}, {"82", 8, 10},
    {"84", 9, 10},  {"86", 10, 11}, {"90", 10, 10}, {"91", 10, 10}, {"92", 9, 10},  {"94", 9, 9},  {"98", 10, 10},
    {"212", 9, 9},  {"216", 8, 8},  {"234", 8, 10}, {"254", 9, 9},  {"351", 9, 9},  {"353", 7, 9}, {"358", 6, 11},
    {"359", 8, 9},  {"380", 9, 9},  {"381", 8, 9},  {"385", 8, 9},  {"386", 8, 8},  {"420", 9, 9}, {"421", 9, 9},
    {"852", 8, 8},  {"966", 9, 9},  {"971", 8, 9},  {"972", 8, 9},
}};
// The remaining codes, as ranges of three digits and two.
bool is_other_code(std::string_view code) {
  const int number = std::stoi(std::string(code));
  if (code.size() == 2) return number == 53 || number == 58 || number == 93 || number == 95;
  static constexpr std::array<std::pair<int, int>, 14> kRanges = {{{211, 213},
                                                                   {216, 269},
                                                                   {290, 299},
                                                                   {350, 359},
                                                                   {370, 389},
                                                                   {420, 423},
                                                                   {500, 509},
                                                                   {590, 599},
                                                                   {670, 692},
                                                                   {800, 808},
                                                                   {850, 856},
                                                                   {870, 888},
                                                                   {960, 979},
                                                                   {992, 998}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const auto& r) { return number >= r.first && number <= r.second; });
}

// The country whose code `digits` begin with.
std::optional<CallingCode> country_of(std::string_view digits) {
  std::optional<CallingCode> best;
  for (const CallingCode& country : kCallingCodes) {
    if (digits.starts_with(country.code) && (!best || country.code.size() > best->code.size())) best = country;
  }
  if (best) return best;
  for (const std::size_t size : {std::size_t{2}, std::size_t{3}}) {
    if (digits.size() > size && is_other_code(digits.substr(0, size)))
      return CallingCode{digits.substr(0, size), 6, 12};
  }
  return std::nullopt;
}

// The number whose digits (country code first) begin at `begin`: its end, 0 when it is none. `value` gets the digits.
std::size_t international_at(std::string_view text, std::size_t begin, std::string& value) {
  DigitGroups groups = read_groups(text, begin, 17, kSeparators);
  if (groups.sizes.empty()) return 0;
  const auto country = country_of(groups.digits);
  if (!country) return 0;
  const std::size_t code = country->code.size();
  // "+44 (0)20": the national prefix in brackets is not dialled from abroad.
  bool trunk = false;
  if (groups.sizes.size() > 2 && groups.sizes[0] == code && groups.sizes[1] == 1 && groups.digits[code] == '0' &&
      groups.separators[0].ends_with('(') && groups.separators[1].starts_with(')')) {
    groups.digits.erase(code, 1);
    trunk = true;
  }
  // No national number begins with 0 but in Italy and a few small countries.
  if (groups.digits.size() <= code || (groups.digits[code] == '0' && country->code != "39" && code < 3)) return 0;
  // The longest run of whole groups that has a fitting number of digits.
  std::size_t digits = 0, end = 0;
  for (std::size_t i = 0; i < groups.sizes.size(); ++i) {
    digits += trunk && i == 1 ? 0 : groups.sizes[i];
    const bool fits = digits >= code + country->least && digits <= code + country->most;
    if (fits && !word_at(text, groups.ends[i])) {
      end = groups.ends[i];
      value = groups.digits.substr(0, digits);
    }
    if (i < groups.separators.size() && groups.separators[i].find("  ") != std::string::npos) break;
  }
  return end;
}

// What stands between two groups: ' ', '-', '/', '.', or ')' with or without a space after it; 0: anything else.
char style_of(std::string_view separator) {
  if (separator == ") ") return ')';
  if (separator.size() == 1) return separator == "(" ? '\0' : separator[0];
  if (separator == "\u2010" || separator == "\u2011" || separator == "\u2013") return '-';
  return separator == "\u00A0" || separator == "\u202F" ? ' ' : '\0';
}

// Whether all separators from the given one to that before group `count` are of one style, which `allowed` has.
bool has_style(const DigitGroups& groups, std::size_t from, std::size_t count, std::string_view allowed) {
  const char first = style_of(groups.separators[from]);
  if (first == '\0' || allowed.find(first) == std::string_view::npos) return false;
  return std::all_of(groups.separators.begin() + static_cast<std::ptrdiff_t>(from),
                     groups.separators.begin() + static_cast<std::ptrdiff_t>(count - 1),
                     [&](const std::string& s) { return style_of(s) == first; });
}

std::size_t digits_in(const DigitGroups& groups, std::size_t count) {
  return std::accumulate(groups.sizes.begin(), groups.sizes.begin() + static_cast<std::ptrdiff_t>(count),
                         std::size_t{0});
}

bool is_hungarian_mobile(std::string_view digits) {
  static constexpr std::array<std::string_view, 5> kNetworks = {"20", "30", "31", "50", "70"};
  return std::find(kNetworks.begin(), kNetworks.end(), digits.substr(0, 2)) != kNetworks.end();
}

// The groups of a Hungarian number that is no mobile one: 06, an area of one digit with seven more or of two with six
// more, the first group of which has three digits or all of them (which no date has). 0: it is none.
std::size_t hungarian_groups(const DigitGroups& groups) {
  const auto& sizes = groups.sizes;
  if (sizes.size() < 2 || !groups.digits.starts_with("06")) return 0;
  const std::size_t first = sizes[0] == 2 ? 2 : 1;  // group of the number proper
  const std::size_t area = sizes[0] == 2 ? sizes[1] : sizes[0] - 2;
  const std::string_view digits = std::string_view(groups.digits).substr(2);
  const bool budapest = area == 1 && digits[0] == '1', country = area == 2 && digits[0] >= '2';
  if (!(budapest || country) || first >= sizes.size()) return 0;
  const std::size_t wanted = budapest ? 7 : 6;
  if (sizes[first] != 3 && sizes[first] != wanted) return 0;
  std::size_t sum = 0;
  for (std::size_t i = first; i < sizes.size() && sum < wanted; ++i) {
    if ((sum += sizes[i]) == wanted) return i + 1;
  }
  return 0;
}

// The number's sizes begin with `wanted`.
bool has_shape(const DigitGroups& groups, std::initializer_list<std::size_t> wanted, std::size_t from = 0) {
  return groups.sizes.size() >= from + wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), groups.sizes.begin() + static_cast<std::ptrdiff_t>(from));
}

// The groups of a North American number, with a 1 before it or without; its area begins with 2 to 9. 0: it is none.
std::size_t american_groups(const DigitGroups& groups, bool bracket) {
  const std::size_t area = has_shape(groups, {1, 3, 3, 4}) && groups.digits[0] == '1' ? 1 : 0;
  if (!has_shape(groups, {3, 3, 4}, area) || groups.digits[area] < '2') return 0;
  if (area == 1) bracket = groups.separators[0].ends_with('(');
  if (bracket && style_of(groups.separators[area]) == ')') return area + 3;
  return has_style(groups, 0, area + 3, "-.") ? area + 3 : 0;
}

// The groups of a Hungarian mobile number without its 06, a slash or hyphen after the network. 0: it is none.
std::size_t hungarian_mobile_groups(const DigitGroups& groups) {
  const std::size_t count = has_shape(groups, {2, 7})         ? 2
                            : has_shape(groups, {2, 3, 4})    ? 3
                            : has_shape(groups, {2, 3, 2, 2}) ? 4
                                                              : 0;
  if (count == 0 || !is_hungarian_mobile(groups.digits)) return 0;
  if (style_of(groups.separators[0]) == '/') return count == 2 || has_style(groups, 1, count, "- ") ? count : 0;
  return count > 2 && has_style(groups, 0, count, "-") ? count : 0;
}

// The groups of a number whose area, of three to five digits, begins with the one 0 that most of Europe dials first; nine
// to eleven digits in all. 0: it is none.
std::size_t area_groups(const DigitGroups& groups, bool bracket) {
  const std::size_t area = groups.sizes[0];
  const std::string_view after_area = bracket ? " -/)" : " -/";
  if (area < 3 || area > 5 || groups.digits[0] != '0' || groups.digits[1] == '0') return 0;
  if (groups.sizes.size() > 1 && groups.sizes[1] >= 6 && groups.sizes[1] <= 8 && area + groups.sizes[1] <= 11) {
    return has_style(groups, 0, 2, after_area) ? 2 : 0;
  }
  // In small groups nine digits would be any three numbers.
  std::size_t count = 0;
  if (has_shape(groups, {3, 4}, 1) || (area > 3 && has_shape(groups, {3, 3}, 1)) ||
      (area == 3 && has_shape(groups, {4, 4}, 1))) {
    count = 3;
  } else if (has_shape(groups, {3, 2, 2}, 1)) {
    count = 4;
  }
  if (count == 0 || digits_in(groups, count) > 11) return 0;
  return has_style(groups, 0, 2, after_area) && has_style(groups, 1, count, " -") ? count : 0;
}

// Whether the digits from `begin` to `end` are part of a longer number: "1-" before them, "/2" after them, a sign that
// makes them an order's or an amount.
bool is_part(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::string_view kJoins = "-./:";
  if (begin > 0 && (text[begin - 1] == '#' || text[begin - 1] == '$')) return true;
  if (begin > 1 && kJoins.find(text[begin - 1]) != std::string_view::npos && is_digit(text[begin - 2])) return true;
  return end + 1 < text.size() && kJoins.find(text[end]) != std::string_view::npos && is_digit(text[end + 1]);
}

// A national form that begins at `begin`: its end, or 0.
std::size_t national_at(std::string_view text, std::size_t begin, std::string& value) {
  const DigitGroups groups = read_groups(text, begin, 12, kSeparators);
  if (groups.sizes.empty()) return 0;
  const std::string& digits = groups.digits;
  const auto& sizes = groups.sizes;
  const auto take = [&](std::size_t count, std::string number) -> std::size_t {
    if (word_at(text, groups.ends[count - 1])) return 0;
    value = std::move(number);
    return groups.ends[count - 1];
  };
  // The groups that hold exactly so many digits; 0: none do.
  const auto groups_of = [&](std::size_t count) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if ((sum += sizes[i]) == count) return i + 1;
    }
    return std::size_t{0};
  };
  if (const std::size_t count = groups_of(11); count > 0 && digits.starts_with("06")) {
    if (is_hungarian_mobile(std::string_view(digits).substr(2))) return take(count, "36" + digits.substr(2, 9));
  }
  if (const std::size_t count = hungarian_groups(groups); count > 0 && (begin == 0 || text[begin - 1] != '-')) {
    return take(count, "36" + digits.substr(2, digits_in(groups, count) - 2));
  }
  if (has_shape(groups, {2, 2, 2, 2, 2}) && sizes.size() == 5 && digits[0] == '0' && digits[1] != '0' &&
      has_style(groups, 0, 5, " .")) {
    return take(5, "33" + digits.substr(1, 9));
  }
  if (sizes.size() == 2 && sizes[0] == 4 && (sizes[1] == 7 || sizes[1] == 8) && digits.starts_with("01") &&
      digits[2] >= '5' && digits[2] <= '7') {
    return take(2, "49" + digits.substr(1));
  }
  const bool bracket = begin > 0 && text[begin - 1] == '(';
  std::size_t count = 0;
  std::string number;
  if (count = american_groups(groups, bracket); count > 0) {
    number = "1" + digits.substr(digits[0] == '1' ? 1 : 0, 10);
  } else if (count = hungarian_mobile_groups(groups); count > 0) {
    number = "36" + digits.substr(0, 9);
  } else if (count = area_groups(groups, bracket); count > 0) {
    const bool british = digits.starts_with("07") || digits.starts_with("01") || has_shape(groups, {3, 4, 4});
    number = (british ? "44" : "49") + digits.substr(1, digits_in(groups, count) - 1);
  }
  if (count > 0 && !is_part(text, begin, groups.ends[count - 1])) return take(count, number);
  return 0;
}

}  // namespace

void find_phones(std::string_view text, std::vector<Finding>& found) {
  if (count_digits(text) < kFewestPhoneDigits) return;
  std::string value;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = 0, begin = i;
    const char c = text[i];
    if ((c == '+' || c == '@') && i + 1 < text.size() && is_digit(text[i + 1]) && !word_before(text, i)) {
      end = international_at(text, i + 1, value);
      // A mention is one run of digits; "@10" and "@2024" are not.
      if (c == '@' && end > 0 && (value.size() < 10 || end - i - 1 != value.size())) end = 0;
    } else if (is_digit(c) && !word_before(text, i)) {
      const bool part = i > 0 && (text[i - 1] == '.' || text[i - 1] == ',' || text[i - 1] == '+') && i > 1 &&
                        (is_digit(text[i - 2]) || text[i - 1] == '+');
      if (!part) {
        if (c == '0' && text.substr(i).starts_with("00") && i + 2 < text.size() && is_digit(text[i + 2])) {
          end = international_at(text, i + 2, value);
        }
        if (end == 0) end = national_at(text, i, value);
        if (end > 0 && begin > 0 && text[begin - 1] == '(' &&
            text.substr(begin, end - begin).find(')') != std::string_view::npos) {
          --begin;
        }
      }
      if (end == 0) {
        while (i + 1 < text.size() && is_digit(text[i + 1])) ++i;
      }
    }
    if (end > 0) found.push_back({begin, end, PrivateKind::kPhone, value});
    i = end > 0 ? end : i + 1;
  }
}

}  // namespace attune
