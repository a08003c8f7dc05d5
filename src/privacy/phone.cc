// Phone numbers.
//   international  +36 30 123 4567, 0036301234567, +44 (0)20 7946 0958, +1-212-555-0123, @36301234567 (a mention):
//                  a country code of ITU-T E.164 and as many digits as that country's numbers have
//   national       only forms that hardly anything else has: 06 30 123 4567, 06-1-234-5678 and 06 52 123 456 (Hungarian
//                  mobiles, Budapest, the country), (212) 555-0123 and 212-555-0123 (North America), 06 12 34 56 78 (France), 07700 900123 (UK mobile), 0171 1234567 and
//                  0171/1234567 (German mobile)
// Left alone: dates, times, versions, amounts, coordinates, order and tracking numbers.
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

bool same_separators(const DigitGroups& groups) {
  return std::all_of(groups.separators.begin(), groups.separators.end(),
                     [&](const std::string& s) { return s == groups.separators[0]; });
}

std::size_t digits_in(const DigitGroups& groups, std::size_t count) {
  return std::accumulate(groups.sizes.begin(), groups.sizes.begin() + static_cast<std::ptrdiff_t>(count),
                         std::size_t{0});
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

// A national form that begins at `begin`: its end, or 0.
std::size_t national_at(std::string_view text, std::size_t begin, std::string& value) {
  const DigitGroups groups = read_groups(text, begin, 12, kSeparators);
  if (groups.sizes.empty()) return 0;
  const std::string& digits = groups.digits;
  const auto& sizes = groups.sizes;
  const auto shape = [&](std::initializer_list<std::size_t> wanted) {
    return sizes.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), sizes.begin());
  };
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
    static constexpr std::array<std::string_view, 5> kMobile = {"20", "30", "31", "50", "70"};
    const std::string_view area = std::string_view(digits).substr(2, 2);
    if (std::find(kMobile.begin(), kMobile.end(), area) != kMobile.end())
      return take(count, "36" + digits.substr(2, 9));
  }
  if (const std::size_t count = hungarian_groups(groups); count > 0 && (begin == 0 || text[begin - 1] != '-')) {
    return take(count, "36" + digits.substr(2, digits_in(groups, count) - 2));
  }
  if (shape({3, 3, 4}) && digits[0] >= '2' && digits[3] >= '2') {
    const std::string &first = groups.separators[0], &second = groups.separators[1];
    const bool brackets = begin > 0 && text[begin - 1] == '(' && first.starts_with(')');
    const bool joined = first == second && (first == "-" || first == ".");
    if (brackets || joined) return take(3, "1" + digits.substr(0, 10));
  }
  if (shape({2, 2, 2, 2, 2}) && digits[0] == '0' && digits[1] != '0' && same_separators(groups) && sizes.size() == 5 &&
      (groups.separators[0] == " " || groups.separators[0] == ".")) {
    return take(5, "33" + digits.substr(1, 9));
  }
  if ((shape({5, 6}) || shape({5, 3, 3})) && groups_of(11) > 0 && digits.starts_with("07") && same_separators(groups)) {
    return take(groups_of(11), "44" + digits.substr(1, 10));
  }
  if (sizes.size() == 2 && sizes[0] == 4 && (sizes[1] == 7 || sizes[1] == 8) && digits.starts_with("01") &&
      digits[2] >= '5' && digits[2] <= '7') {
    return take(2, "49" + digits.substr(1));
  }
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
