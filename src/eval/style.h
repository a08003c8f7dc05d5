// How two collections of answers differ in manner: how long they are, which words they use, how they punctuate. The
// words are taken as they are written: who writes everything in small letters has a style, too.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

// A text taken apart. A word is a run of letters, marks and digits, apostrophes within it included; a mark is any other
// character that is not white space: punctuation, symbols, emoji.
struct TextParts {
  std::vector<std::string> words, marks;
};
TextParts take_apart(std::string_view text);  // invalid UTF-8 reads as U+FFFD

using Counts = std::map<std::string, std::int64_t>;

// Jensen-Shannon divergence of two distributions given by counts, in bits: 0 equal, 1 nothing in common. 1 when only
// one of them is empty, 0 when both are.
double jensen_shannon(const Counts& a, const Counts& b);

// Kolmogorov-Smirnov distance: the largest difference of the two shares of values up to some value; from 0 to 1. Empty
// collections as in jensen_shannon().
double kolmogorov_smirnov(std::vector<double> a, std::vector<double> b);

// Linear between the neighbours, as numpy.quantile; NaN without a value.
double quantile(std::vector<double> values, double q);

// A collection of answers.
class Style {
 public:
  explicit Style(std::span<const std::string> answers);
  const std::vector<double>& lengths() const { return lengths_; }  // words of each answer
  double mean_length() const;                                      // NaN without an answer

  friend struct StyleDistance;

 private:
  std::vector<double> lengths_;
  Counts words_;
  Counts marks_;  // and the words together, as one kind more: how much somebody punctuates counts as well
};

struct StyleDistance {
  StyleDistance(const Style& a, const Style& b);
  double length = 0, words = 0, punctuation = 0;
  double mean() const { return (length + words + punctuation) / 3; }
};

}  // namespace attune
