#include "synth/grounding.h"

#include <algorithm>
#include <vector>

#include "base/utf8.h"
#include "synth/words.h"

namespace attune {
namespace {

constexpr std::size_t kLongWord = 5;    // letters
constexpr std::size_t kLeastStem = 3;   // bytes of folded words that must be equal to match at all
constexpr double kMostCapitals = 0.15;  // of the words inside sentences, in languages where a capital marks a name

std::string without_leading_zeros(std::string digits) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return digits;
}

std::string decimal(const std::string& whole, std::string fraction) {
  while (fraction.ends_with('0')) fraction.pop_back();
  return without_leading_zeros(whole) + (fraction.empty() ? "" : "." + fraction);
}

// What a number as written may mean: one of `values`, each in one spelling; or, for a date, a version and what only
// looks like thousands, all of `parts`.
struct Meaning {
  std::vector<std::string> values, parts;
};

Meaning meaning_of(const std::string& number) {
  std::vector<std::string> groups(1);
  std::string separators;
  for (const char c : number) {
    if (c == '.' || c == ',' || c == ' ') {
      separators += c;
      groups.emplace_back();
    } else {
      groups.back() += c;
    }
  }
  Meaning meaning;
  if (separators.empty()) {
    meaning.values.push_back(without_leading_zeros(number));
    return meaning;
  }
  const auto grouped_until = [&](std::size_t end) {  // "1,200,300" up to group `end`, one separator for all
    if (groups[0].size() > 3) return false;
    for (std::size_t i = 1; i < end; ++i) {
      if (groups[i].size() != 3 || separators[i - 1] != separators[0]) return false;
    }
    return true;
  };
  const auto joined = [&](std::size_t end) {
    std::string digits;
    for (std::size_t i = 0; i < end; ++i) digits += groups[i];
    return digits;
  };
  const std::size_t last = groups.size() - 1;
  if (grouped_until(groups.size())) meaning.values.push_back(without_leading_zeros(joined(groups.size())));
  const bool fraction = separators.back() != ' ' && (last == 1 || separators.back() != separators.front());
  if (fraction && (last == 1 || grouped_until(last))) meaning.values.push_back(decimal(joined(last), groups[last]));
  if (meaning.values.empty() || separators.find(' ') != std::string::npos) {
    for (const std::string& group : groups) meaning.parts.push_back(without_leading_zeros(group));
  }
  return meaning;
}

// Without the "1." or "2)" that number the lines of a list.
std::string without_list_marks(std::string_view text) {
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t mark = line.find_first_not_of(" \t");
    const std::size_t after = mark == line.npos ? mark : line.find_first_not_of("0123456789", mark);
    if (after != line.npos && after > mark && after - mark <= 2 && line.size() > after + 1 && line[after + 1] == ' ' &&
        (line[after] == '.' || line[after] == ')')) {
      line.remove_prefix(after + 1);
    }
    kept.append(line) += '\n';
  }
  return kept;
}

bool same_stem(std::string_view a, std::string_view b) {
  const auto [end, ignored] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto common = static_cast<std::size_t>(end - a.begin());
  return common >= kLeastStem && 2 * common >= std::max(a.size(), b.size());
}

}  // namespace

Source::Source(std::string_view text) {
  std::size_t inside = 0, capitals = 0;
  for (const Word& word : words_of(text)) {
    if (word.number) {
      Meaning meaning = meaning_of(word.folded);
      for (auto* list : {&meaning.values, &meaning.parts}) numbers_.insert(list->begin(), list->end());
      continue;
    }
    inside += !word.begins;
    capitals += !word.begins && word.capital;
    words_.insert(word.folded);
  }
  capitals_are_names_ = static_cast<double>(capitals) <= kMostCapitals * static_cast<double>(inside) || inside < 40;
}

bool Source::has_number(const std::string& number) const {
  const Meaning meaning = meaning_of(number);
  const auto known = [&](const std::string& value) { return numbers_.contains(value); };
  return std::any_of(meaning.values.begin(), meaning.values.end(), known) ||
         (!meaning.parts.empty() && std::all_of(meaning.parts.begin(), meaning.parts.end(), known));
}

bool Source::has_word(const std::string& word) const {
  if (words_.contains(word)) return true;
  if (word.size() < kLeastStem) return false;
  const std::string stem = word.substr(0, kLeastStem);
  for (auto near = words_.lower_bound(stem); near != words_.end() && near->starts_with(stem); ++near) {
    if (same_stem(*near, word)) return true;
  }
  return false;
}

std::optional<std::string> Source::missing(std::string_view answer, double least_shared) const {
  std::size_t long_words = 0, known = 0;
  std::optional<std::string> unknown;
  for (const Word& word : words_of(without_list_marks(answer))) {
    if (word.number) {
      if (!has_number(word.folded)) return word.folded;
      continue;
    }
    const bool name = word.capital && !word.begins && word.letters > 1 && capitals_are_names_;
    if (!name && word.letters < kLongWord) continue;
    const bool there = has_word(word.folded);
    if (name && !there) return word.folded;
    ++long_words;
    known += there;
    if (!there && !unknown) unknown = word.folded;
  }
  if (static_cast<double>(known) < least_shared * static_cast<double>(long_words)) return unknown;
  return std::nullopt;
}

}  // namespace attune
