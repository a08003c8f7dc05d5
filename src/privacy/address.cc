// Street addresses with a house number, in the order of three languages:
//   Hungarian  Petőfi Sándor utca 12., Kossuth tér 1-3, (1011 Budapest,) Fő u. 14/B
//   German     Hauptstraße 5, Lange Straße 12a, Marienplatz 1
//   English    10 Downing Street, 221B Baker St
// Every name before (after) the number begins with a capital. The town right beside is taken too, where its postal code
// tells that it is one:
//   1011 Budapest, Fő u. 14    1234 Budapest Fő tér 1    Musterstraße 12, D-10115 Berlin
//   10 Downing Street, London SW1A 2AA    5 Main Street, Springfield, IL 62704
// Left alone: "a 3. utca", "the 2 main streets", "Street 9 3/4" without a name.
#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"
#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

struct Word {
  std::size_t begin, end;
};

constexpr std::string_view kBreaks = " \t\n\r,;:!?()[]\"";
constexpr std::array<bool, 256> kIsBreak = [] {
  std::array<bool, 256> is{};
  for (const char c : kBreaks) is[static_cast<unsigned char>(c)] = true;
  return is;
}();
bool is_break(char c) { return kIsBreak[static_cast<unsigned char>(c)]; }

std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> words;
  for (std::size_t i = 0; i < text.size();) {
    if (is_break(text[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && !is_break(text[i])) ++i;
    words.push_back({begin, i});
  }
  return words;
}

constexpr std::array<std::string_view, 22> kHungarian = {
    "utca",    "út",    "útja", "tér",    "tere",    "körút", "krt",       "krt.",   "sétány", "köz",   "sor",
    "rakpart", "fasor", "u.",   "utcája", "körútja", "park",  "lakótelep", "lépcső", "dűlő",   "liget", "ltp."};
constexpr std::array<std::string_view, 10> kGerman = {"straße", "strasse", "str.", "weg",  "platz",
                                                      "gasse",  "allee",   "ring", "damm", "ufer"};
constexpr std::array<std::string_view, 20> kEnglish = {
    "Street", "St",    "St.", "Road",      "Rd",   "Rd.",   "Avenue", "Ave",     "Ave.",     "Lane",
    "Ln",     "Drive", "Dr",  "Boulevard", "Blvd", "Court", "Square", "Terrace", "Crescent", "Close"};

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& list) {
  for (const std::string_view one : list) {
    if (word == one) return true;
  }
  return false;
}

// An upper-case letter of the Latin scripts begins the word.
bool is_capital(std::string_view word) {
  if (word.empty()) return false;
  const char32_t c = decode_utf8(word, 0).code_point;
  if (c < 0x80) return c >= 'A' && c <= 'Z';
  if (c < 0x100) return c >= 0xC0 && c <= 0xDE && c != 0xD7;
  return c < 0x180 && (c >= 0x139 && c <= 0x148 ? c % 2 == 1 : c % 2 == 0);
}

// "12", "12.", "1-3", "14/B", "5a": bytes of the house number, 0 when the word is none.
std::size_t house_number(std::string_view word) {
  std::size_t i = 0;
  while (i < word.size() && is_digit(word[i])) ++i;
  if (i == 0 || i > 4) return 0;
  if (i + 1 < word.size() && (word[i] == '-' || word[i] == '/')) {
    std::size_t next = i + 1;
    while (next < word.size() && (is_digit(word[next]) || is_ascii_letter(word[next])) && next - i < 5) ++next;
    if (next > i + 1) i = next;
  } else if (i < word.size() && is_ascii_letter(word[i])) {
    ++i;
  }
  const std::size_t end = i;
  if (i < word.size() && word[i] == '.') ++i;
  return i == word.size() ? end : 0;
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_all(std::string_view word, bool (*is)(char)) {
  return !word.empty() && std::all_of(word.begin(), word.end(), is);
}

// "1234", "10115", "H-1234", "D-10115".
bool is_postal_code(std::string_view word) {
  if (word.size() > 2 && is_upper(word[0]) && word[1] == '-') word.remove_prefix(2);
  return (word.size() == 4 || word.size() == 5) && is_all(word, is_digit);
}

// "SW1A 2AA", "M1 1AE".
bool is_british_code(std::string_view first, std::string_view second) {
  if (second.ends_with('.')) second.remove_suffix(1);
  const bool area = first.size() >= 2 && first.size() <= 4 && is_upper(first[0]) &&
                    (is_digit(first[1]) || (first.size() > 2 && is_digit(first[2])));
  return area && second.size() == 3 && is_digit(second[0]) && is_all(second.substr(1), is_upper);
}

// "IL 62704", "NY 10001-1234".
bool is_american_code(std::string_view state, std::string_view code) {
  if (code.ends_with('.')) code.remove_suffix(1);
  if (state.size() != 2 || !is_all(state, is_upper) || !is_all(code.substr(0, 5), is_digit)) return false;
  return code.size() == 5 || (code.size() == 10 && code[5] == '-' && is_all(code.substr(6), is_digit));
}

// Whether a word of the text may be a house number: without it there is no address.
bool has_house_number(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (!is_digit(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && !is_break(text[end])) ++end;
    if ((i == 0 || is_break(text[i - 1])) && house_number(text.substr(i, end - i)) > 0) return true;
    i = end;
  }
  return false;
}

class Finder {
 public:
  Finder(std::string_view text, std::vector<Finding>& found) : text_(text), words_(words_of(text)), found_(found) {}

  void run() {
    std::size_t free = 0;  // words before it are part of an address already
    for (std::size_t w = 0; w < words_.size(); ++w) {
      std::size_t first = w, last = w;
      if (!name_then_number(w, free, first, last) && !number_then_name(w, free, first, last)) continue;
      add_town_behind(last);
      const std::size_t begin = words_[first].begin;
      std::size_t end = words_[last].end;
      if (const std::size_t number = house_number(word(last))) end = words_[last].begin + number;  // no full stop
      if (text_[end - 1] == '.') --end;
      found_.push_back({begin, end, PrivateKind::kAddress, std::string(text_.substr(begin, end - begin))});
      free = last + 1;
      w = last;
    }
  }

 private:
  std::string_view word(std::size_t i) const { return text_.substr(words_[i].begin, words_[i].end - words_[i].begin); }
  // Only one space stands between this word and the next.
  bool joined(std::size_t i) const {
    return i + 1 < words_.size() && words_[i + 1].begin == words_[i].end + 1 && text_[words_[i].end] == ' ';
  }

  // w is the street word (or ends in one), a house number follows, capital names stand before.
  bool name_then_number(std::size_t w, std::size_t free, std::size_t& first, std::size_t& last) const {
    const std::string_view street = word(w);
    if (!joined(w) || house_number(word(w + 1)) == 0) return false;
    const bool hungarian = is_one_of(street, kHungarian);
    bool german = false;
    for (const std::string_view ending : kGerman) {
      german = german || (street.size() > ending.size() + 2 && street.ends_with(ending) && is_capital(street)) ||
               (lower_ascii(street) == ending && is_capital(street) && w > free);
    }
    if (!hungarian && !german) return false;
    last = w + 1;
    first = w;
    // In "Treffpunkt Hauptstraße 5" the word before is no part of the name: German writes every noun with a capital.
    const bool separate = hungarian || is_whole_german(street);
    while (separate && first > free && w - first < 3 && joined(first - 1) && is_capital(word(first - 1))) --first;
    if (separate && first == w) return false;
    add_town_before(free, w, first);
    return true;
  }

  static bool is_whole_german(std::string_view street) { return is_one_of(lower_ascii(street), kGerman); }

  // w is the house number; one to three capital words and a street word follow.
  bool number_then_name(std::size_t w, std::size_t free, std::size_t& first, std::size_t& last) const {
    if (w < free || house_number(word(w)) == 0 || word(w).ends_with('.')) return false;
    for (std::size_t i = w; joined(i) && i < w + 4; ++i) {
      std::string_view next = word(i + 1);
      if (!is_capital(next)) return false;
      if (i > w && is_one_of(next, kEnglish)) {
        first = w;
        last = i + 1;
        return true;
      }
      if (i > w && next.ends_with('.') && is_one_of(next.substr(0, next.size() - 1), kEnglish)) {
        first = w;
        last = i + 1;
        return true;
      }
    }
    return false;
  }

  // At most a comma and a line's end or a space stand between this word and the next.
  bool beside(std::size_t i) const {
    if (i + 1 >= words_.size()) return false;
    std::string_view gap = text_.substr(words_[i].end, words_[i + 1].begin - words_[i].end);
    if (gap.starts_with(',')) gap.remove_prefix(1);
    return gap == " " || gap == "\n" || gap == " \n" || gap == "\r\n";
  }
  bool is_town(std::size_t i) const { return is_capital(word(i)) && word(i).size() > 2; }

  // "1011 Budapest, " before the street, or its code where the town was taken for a part of the street's name.
  void add_town_before(std::size_t free, std::size_t street, std::size_t& first) const {
    if (first > free && street > first + 1 && is_postal_code(word(first - 1)) && joined(first - 1) && is_town(first)) {
      --first;
    } else if (first >= free + 2 && is_postal_code(word(first - 2)) && joined(first - 2) && is_town(first - 1) &&
               beside(first - 1)) {
      first -= 2;
    }
  }

  // ", 10115 Berlin" or ", London SW1A 2AA" after the house number or street, which is word `last`.
  void add_town_behind(std::size_t& last) const {
    if (!beside(last)) return;
    std::size_t i = last + 1;
    if (is_postal_code(word(i))) {
      if (joined(i) && is_town(i + 1)) last = end_of_town(i + 1);
      return;
    }
    for (std::size_t names = 0; names < 4 && i + 1 < words_.size() && is_capital(word(i)); ++names, ++i) {
      if (names > 0 && joined(i) && (is_british_code(word(i), word(i + 1)) || is_american_code(word(i), word(i + 1)))) {
        last = i + 1;
        return;
      }
      if (!beside(i)) return;
    }
  }

  // "Frankfurt am Main", "Bad Homburg".
  std::size_t end_of_town(std::size_t i) const {
    const auto is_name = [&](std::size_t w) { return joined(w - 1) && is_capital(word(w)); };
    if ((word(i) == "Bad" || word(i) == "Sankt") && joined(i) && is_name(i + 1)) ++i;
    if (joined(i) && word(i + 1) == "am" && joined(i + 1) && is_name(i + 2)) return i + 2;
    return i;
  }

  std::string_view text_;
  std::vector<Word> words_;
  std::vector<Finding>& found_;
};

}  // namespace

void find_addresses(std::string_view text, std::vector<Finding>& found) {
  if (has_house_number(text)) Finder(text, found).run();
}

}  // namespace attune
