#include "synth/duplicates.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "synth/words.h"

namespace attune {
namespace {

constexpr std::size_t kShingle = 3;  // words

std::string normalized(const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) text += word.folded + ' ';
  return text;
}

// Hashes of all runs of three words; of the whole when there are fewer. Sorted, each once.
std::vector<std::uint64_t> shingles_of(const std::vector<Word>& words) {
  std::vector<std::uint64_t> shingles;
  for (std::size_t i = 0; i == 0 || i + kShingle <= words.size(); ++i) {
    std::string run;
    for (std::size_t k = i; k < std::min(i + kShingle, words.size()); ++k) run += words[k].folded + ' ';
    shingles.push_back(std::hash<std::string>{}(run));
  }
  std::sort(shingles.begin(), shingles.end());
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
  return shingles;
}

}  // namespace

Repeats Duplicates::add(std::string_view question, std::string_view answer) {
  std::vector<Word> words = words_of(question);
  std::string asked = normalized(words);
  if (questions_.contains(asked)) return Repeats::kQuestion;
  std::vector<Word> more = words_of(answer);
  std::move(more.begin(), more.end(), std::back_inserter(words));
  const std::vector<std::uint64_t> shingles = shingles_of(words);

  std::unordered_map<std::uint32_t, std::size_t> shared;
  for (const std::uint64_t shingle : shingles) {
    const auto found = texts_with_.find(shingle);
    if (found == texts_with_.end()) continue;
    for (const std::uint32_t text : found->second) ++shared[text];
  }
  for (const auto& [text, count] : shared) {
    const std::size_t together = shingles.size() + triples_[text] - count;
    if (static_cast<double>(count) >= threshold_ * static_cast<double>(together)) return Repeats::kNearly;
  }
  const auto place = static_cast<std::uint32_t>(triples_.size());
  for (const std::uint64_t shingle : shingles) texts_with_[shingle].push_back(place);
  triples_.push_back(static_cast<std::uint32_t>(shingles.size()));
  questions_.insert(std::move(asked));
  return Repeats::kNothing;
}

}  // namespace attune
