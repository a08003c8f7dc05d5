#include "privacy/names.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/utf8.h"
#include "privacy/characters.h"

namespace attune {
namespace {

// Given names of any gender, short in every tokenizer.
constexpr std::array<std::string_view, 40> kPseudonyms = {
    "Alex",  "Robin", "Charlie", "Sam",     "Kim",   "Jamie",  "Morgan", "Taylor", "Jordan", "Casey",
    "Riley", "Avery", "Quinn",   "Parker",  "Reese", "Rowan",  "Sasha",  "Toni",   "Nikita", "Andrea",
    "Chris", "Dana",  "Eli",     "Francis", "Gabi",  "Hayden", "Ira",    "Jules",  "Kai",    "Lee",
    "Micha", "Noel",  "Ollie",   "Perry",   "Remy",  "Skyler", "Tracy",  "Vali",   "Wren",   "Yuri"};

// Names that are everyday words of English, Hungarian, German or French.
constexpr std::array<std::string_view, 44> kEveryday = {
    "will",   "mark",  "may",   "rose",  "grace", "joy",   "hope",  "art",    "bill",  "frank", "rob",
    "pat",    "sue",   "ray",   "dean",  "gene",  "grant", "chase", "hunter", "april", "june",  "august",
    "summer", "dawn",  "faith", "king",  "young", "long",  "white", "black",  "brown", "nagy",  "kis",
    "fekete", "fehér", "szabó", "virág", "szép",  "klein", "lang",  "jung",   "ernst", "petit", "blanc"};

// Case endings after which a Hungarian name still is the name; the longest that fits is taken off.
constexpr std::array<std::string_view, 52> kEndings = {
    "nak", "nek",   "val",   "vel",   "ért",   "tól", "től", "ról", "ről",  "ból",   "ből",   "hoz",   "hez",
    "höz", "ban",   "ben",   "nál",   "nél",   "ra",  "re",  "ba",  "be",   "ig",    "on",    "en",    "ön",
    "ék",  "éknak", "éknek", "ékkal", "ékkel", "éké", "é",   "t",   "ot",   "et",    "öt",    "ét",    "ja",
    "je",  "ka",    "ke",    "m",     "om",    "em",  "d",   "s",   "ként", "éktól", "éktől", "ékhoz", "ékhez"};

std::string fold(std::string_view word) {
  std::string folded;
  for (std::size_t i = 0; i < word.size();) {
    const Utf8Step step = decode_utf8(word, i);
    append_utf8(folded, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(step.code_point))));
    i = step.next;
  }
  return folded;
}

bool is_letter(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MN;
}

bool begins_with_capital(std::string_view word) {
  const auto c = static_cast<utf8proc_int32_t>(decode_utf8(word, 0).code_point);
  return utf8proc_tolower(c) != c;
}

struct NameWord {
  std::size_t begin, end;
};

std::vector<NameWord> name_words(std::string_view text) {
  std::vector<NameWord> words;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    if (is_letter(step.code_point)) {
      if (words.empty() || words.back().end != i) words.push_back({i, i});
      words.back().end = step.next;
    }
    i = step.next;
  }
  return words;
}

std::size_t characters(std::string_view word) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < word.size(); i = decode_utf8(word, i).next) ++count;
  return count;
}

}  // namespace

Names::Names(const std::vector<std::string>& people) : people_(people) {
  for (std::size_t person = 0; person < people_.size(); ++person) {
    for (const NameWord& word : name_words(people_[person])) {
      std::string part = fold(std::string_view(people_[person]).substr(word.begin, word.end - word.begin));
      // Initials, "de", "von" and "af" name nobody.
      if (characters(part) < 3 || part == "von" || part == "van" || part == "der" || part == "den") continue;
      Part& entry = parts_[part];
      entry.everyday = std::find(kEveryday.begin(), kEveryday.end(), part) != kEveryday.end();
      if (entry.people.empty() || entry.people.back() != person) entry.people.push_back(person);
    }
  }
  for (std::size_t next = 0; pseudonyms_.size() < people_.size(); ++next) {
    const std::string_view name = kPseudonyms[next % kPseudonyms.size()];
    if (parts_.contains(fold(name))) {
      // All of them taken by real people: numbers tell them apart.
      if (next < kPseudonyms.size()) continue;
    }
    const std::size_t round = next / kPseudonyms.size();
    pseudonyms_.push_back(round == 0 ? std::string(name) : fmt::format("{} {}", name, round + 1));
  }
}

// The part that `word` is, or is with an ending; `length` gets the bytes without the ending.
const Names::Part* Names::part_of(std::string_view word, std::size_t& length) const {
  length = word.size();
  const std::string folded = fold(word);
  if (const auto found = parts_.find(folded); found != parts_.end()) return &found->second;
  if (folded.size() != word.size()) return nullptr;  // upper case of another length: no ending is looked for
  const Part* best = nullptr;
  for (const std::string_view ending : kEndings) {
    if (folded.size() < ending.size() + 3 || !folded.ends_with(ending)) continue;
    std::string stem = folded.substr(0, folded.size() - ending.size());
    auto found = parts_.find(stem);
    if (found == parts_.end()) {
      // A final a or e is long before an ending: Anna, Annának; Imre, Imrét.
      if (stem.ends_with("á"))
        stem.replace(stem.size() - 2, 2, "a");
      else if (stem.ends_with("é"))
        stem.replace(stem.size() - 2, 2, "e");
      found = parts_.find(stem);
    }
    if (found == parts_.end()) continue;
    if (!best || folded.size() - ending.size() < length) {
      best = &found->second;
      length = folded.size() - ending.size();
    }
  }
  return best;
}

void Names::find(std::string_view text, std::vector<Finding>& found) const {
  if (parts_.empty()) return;
  const std::vector<NameWord> words = name_words(text);
  for (std::size_t w = 0; w < words.size(); ++w) {
    const auto word = [&](std::size_t i) { return text.substr(words[i].begin, words[i].end - words[i].begin); };
    std::size_t length = 0;
    const Part* part = part_of(word(w), length);
    if (!part || ((part->everyday || length < word(w).size()) && !begins_with_capital(word(w)))) continue;
    std::vector<std::size_t> people = part->people;
    const std::size_t begin = words[w].begin;
    std::size_t end = words[w].begin + length;
    // More parts of the same person right behind, joined by one space or hyphen.
    while (end == words[w].end && w + 1 < words.size() && words[w + 1].begin == end + 1 &&
           (text[end] == ' ' || text[end] == '-')) {
      const Part* next = part_of(word(w + 1), length);
      if (!next || !begins_with_capital(word(w + 1))) break;
      std::vector<std::size_t> both;
      std::set_intersection(people.begin(), people.end(), next->people.begin(), next->people.end(),
                            std::back_inserter(both));
      if (both.empty()) break;
      people = std::move(both);
      ++w;
      end = words[w].begin + length;
    }
    found.push_back({begin, end, PrivateKind::kName, people_[people[0]]});
  }
}

}  // namespace attune
