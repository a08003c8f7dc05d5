// Bank accounts and payment cards, each proved by its checksum.
//   IBAN      ISO 13616: the length of its country, letters after the 2 check digits allowed, mod 97 = 1
//   GIRO      Hungarian account number in groups of 8 digits, each with its check digit (weights 9 7 3 1); an account,
//             so it is called "iban" as well
//   cards     13-19 digits of a known network's range and length, Luhn's check digit (ISO/IEC 7812)
// Left alone: order and tracking numbers that fail the checksum, or begin like no network's cards; decimals of a number.
#include <algorithm>
#include <array>
#include <utility>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

struct Country {
  std::string_view code;
  std::size_t length;  // of the whole IBAN
};
constexpr std::array<Country, 84> kCountries = {{
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22}, {"BH", 22},
    {"BI", 27}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22}, {"DJ", 27},
    {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FK", 18}, {"FO", 18}, {"FR", 27},
    {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HN", 28}, {"HR", 21}, {"HU", 28},
    {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26}, {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28},
    {"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22},
    {"MK", 19}, {"MN", 20}, {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NI", 28}, {"NL", 18}, {"NO", 15}, {"OM", 23},
    {"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"RU", 33}, {"SA", 24},
    {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"SO", 23}, {"ST", 25}, {"SV", 28},
    {"TN", 24}, {"TR", 26}, {"UA", 29},
}};

std::size_t iban_length(std::string_view code) {
  for (const Country& country : kCountries) {
    if (country.code == code) return country.length;
  }
  return code == "VA" ? 22 : code == "VG" ? 24 : code == "XK" ? 20 : 0;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

bool mod97_is_1(std::string_view iban) {
  unsigned rest = 0;
  for (std::size_t i = 0; i < iban.size(); ++i) {
    const char c = iban[(i + 4) % iban.size()];
    rest = is_digit(c) ? (rest * 10 + static_cast<unsigned>(c - '0')) % 97
                       : (rest * 100 + static_cast<unsigned>(c - 'A' + 10)) % 97;
  }
  return rest == 1;
}

// The IBAN that begins at `begin`: its end, and itself without spaces; 0 when none does.
std::size_t iban_at(std::string_view text, std::size_t begin, std::string& iban) {
  iban.clear();
  if (begin + 15 > text.size() || !is_ascii_letter(text[begin]) || !is_ascii_letter(text[begin + 1]) ||
      !is_digit(text[begin + 2]) || !is_digit(text[begin + 3])) {
    return 0;
  }
  const std::size_t length = iban_length(std::string{upper(text[begin]), upper(text[begin + 1])});
  if (length == 0) return 0;
  std::size_t i = begin;
  bool separated = false;
  while (iban.size() < length && i < text.size()) {
    if (is_digit(text[i]) || is_ascii_letter(text[i])) {
      iban += upper(text[i++]);
      separated = false;
      continue;
    }
    const std::size_t separator = separator_at(text, i, "");
    if (separator == 0 || std::exchange(separated, true)) return 0;
    i += separator;
  }
  if (iban.size() < length) return 0;
  return !word_at(text, i) && mod97_is_1(iban) ? i : 0;
}

constexpr std::size_t kFewestBankDigits = 13;  // of a card; an account has 16

bool giro_group(std::string_view digits) {
  static constexpr std::array<int, 4> kWeights = {9, 7, 3, 1};
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) sum += (digits[i] - '0') * kWeights[i % 4];
  return sum % 10 == 0;
}

// 8-8 or 8-8-8; the first group and what follows it have a check digit each.
bool is_giro(const DigitGroups& groups) {
  const std::size_t count = groups.sizes.size();
  if (count != 2 && count != 3) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (groups.sizes[i] != 8 || (i + 1 < count && groups.separators[i] != "-" && groups.separators[i] != " "))
      return false;
  }
  const std::string_view digits = groups.digits;
  const bool nothing = digits.find_first_not_of('0') == std::string_view::npos;
  return !nothing && giro_group(digits.substr(0, 8)) && giro_group(digits.substr(8));
}

bool luhn(std::string_view digits) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    int digit = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 == 0;
}

// First digits and lengths of the networks: Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay, Maestro.
bool is_card_range(std::string_view digits) {
  const std::size_t size = digits.size();
  const int two = std::stoi(std::string(digits.substr(0, 2))), four = std::stoi(std::string(digits.substr(0, 4)));
  if (two / 10 == 4) return size == 13 || size == 16 || size == 19;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return size == 16;
  if (two == 34 || two == 37) return size == 15;
  if (four == 6011 || two == 65 || (four >= 6440 && four <= 6499)) return size == 16 || size == 19;
  if ((four >= 3000 && four <= 3059) || two == 36 || two == 38 || two == 39) return size == 14 || size == 16;
  if (four >= 3528 && four <= 3589) return size == 16;
  if (two == 62) return size >= 16;
  return (two == 50 || (two >= 56 && two <= 58) || two == 67) && size >= 16;
}

bool is_card(const DigitGroups& groups) {
  const std::string& digits = groups.digits;
  if (digits.size() < 13 || digits.size() > 19) return false;
  // As printed on the card, or in one piece: 4-4-4-4(-3), 4-6-5, 4-6-4.
  const auto& sizes = groups.sizes;
  const bool printed = sizes.size() == 1 || sizes == std::vector<std::size_t>{4, 4, 4, 4} ||
                       sizes == std::vector<std::size_t>{4, 4, 4, 4, 3} || sizes == std::vector<std::size_t>{4, 6, 5} ||
                       sizes == std::vector<std::size_t>{4, 6, 4};
  const bool varied = digits.find_first_not_of(digits[0]) != std::string::npos;
  return printed && varied && is_card_range(digits) && luhn(digits);
}

// The groups without those from `count` on.
DigitGroups first_groups(const DigitGroups& groups, std::size_t count) {
  DigitGroups first;
  for (std::size_t i = 0; i < count; ++i) {
    first.digits.append(groups.digits, first.digits.size(), groups.sizes[i]);
    first.sizes.push_back(groups.sizes[i]);
    first.ends.push_back(groups.ends[i]);
    if (i > 0) first.separators.push_back(groups.separators[i - 1]);
  }
  return first;
}

}  // namespace

void find_bank_numbers(std::string_view text, std::vector<Finding>& found) {
  const bool numbers = count_digits(text) >= kFewestBankDigits;
  std::string iban;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_digit(text[i])) {
      ++i;
      continue;
    }
    // An IBAN's first digit is its third character.
    if (i >= 2 && is_ascii_letter(text[i - 1]) && !word_before(text, i - 2)) {
      if (const std::size_t end = iban_at(text, i - 2, iban)) {
        found.push_back({i - 2, end, PrivateKind::kIban, iban});
        i = end;
        continue;
      }
    }
    const bool decimals = i > 1 && text[i - 1] == '.' && is_digit(text[i - 2]);
    const bool begins = numbers && !decimals && !word_before(text, i);
    const DigitGroups groups = begins ? read_groups(text, i, 24, "") : DigitGroups{};
    std::size_t next = i;
    while (next < text.size() && is_digit(text[next])) ++next;
    for (std::size_t count = groups.sizes.size(); count > 0; --count) {
      const DigitGroups first = first_groups(groups, count);
      const std::size_t end = first.ends.back();
      const bool account = is_giro(first);
      if (word_at(text, end) || !(account || is_card(first))) continue;
      found.push_back({i, end, account ? PrivateKind::kIban : PrivateKind::kCard, first.digits});
      next = end;
      break;
    }
    i = next;
  }
}

}  // namespace attune
