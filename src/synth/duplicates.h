// Which conversations say again what another one said.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace attune {

enum class Repeats { kNothing, kQuestion, kNearly };

// Remembers what it let through. Exact for any number of texts: an index from word triples to the texts that have them.
class Duplicates {
 public:
  // kQuestion: the same question but for case, accents and punctuation. kNearly: question and answer share `threshold`
  // of their word triples (Jaccard) with another. What is a repetition is not remembered.
  explicit Duplicates(double threshold = 0.7) : threshold_(threshold) {}
  Repeats add(std::string_view question, std::string_view answer);

 private:
  double threshold_;
  std::set<std::string> questions_;
  std::vector<std::uint32_t> triples_;  // of each text, how many
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> texts_with_;
};

}  // namespace attune
