#include "eval/style.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/utf8.h"
#include "token/unicode.h"

namespace attune {
namespace {

bool is_apostrophe(char32_t c) { return c == '\'' || c == 0x2019; }

// Joins or varies the character before it, an emoji mostly; nothing of its own.
bool is_joiner(char32_t c) { return c == 0x200D || (c >= 0xFE00 && c <= 0xFE0F); }

// -p log2 p, summed over the values.
double entropy(const std::vector<double>& shares) {
  double bits = 0;
  for (const double p : shares) bits -= p > 0 ? p * std::log2(p) : 0;
  return bits;
}

double total(const Counts& counts) {
  double sum = 0;
  for (const auto& [name, count] : counts) sum += static_cast<double>(count);
  return sum;
}

}  // namespace

TextParts take_apart(std::string_view text) {
  TextParts parts;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) parts.words.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    at = step.next;
    const char32_t c = step.code_point;
    if (is_joiner(c)) continue;
    if (is_word_character(c)) {
      append_utf8(word, c);
    } else if (is_apostrophe(c) && !word.empty() && at < text.size() &&
               is_word_character(decode_utf8(text, at).code_point)) {
      word += '\'';
    } else {
      end_word();
      if (!is_white_space(c)) append_utf8(parts.marks.emplace_back(), c);
    }
  }
  end_word();
  return parts;
}

double jensen_shannon(const Counts& a, const Counts& b) {
  const double total_a = total(a), total_b = total(b);
  if (total_a == 0 || total_b == 0) return total_a == total_b ? 0 : 1;
  std::set<std::string> names;
  for (const Counts* counts : {&a, &b}) {
    for (const auto& [name, count] : *counts) names.insert(name);
  }
  std::vector<double> p, q, middle;
  const auto share = [](const Counts& counts, const std::string& name, double sum) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : static_cast<double>(found->second) / sum;
  };
  for (const std::string& name : names) {
    p.push_back(share(a, name, total_a));
    q.push_back(share(b, name, total_b));
    middle.push_back((p.back() + q.back()) / 2);
  }
  return std::clamp(entropy(middle) - (entropy(p) + entropy(q)) / 2, 0.0, 1.0);
}

double kolmogorov_smirnov(std::vector<double> a, std::vector<double> b) {
  if (a.empty() || b.empty()) return a.size() == b.size() ? 0 : 1;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const auto share_up_to = [](const std::vector<double>& values, double x) {
    return static_cast<double>(std::upper_bound(values.begin(), values.end(), x) - values.begin()) /
           static_cast<double>(values.size());
  };
  double largest = 0;
  for (const auto* values : {&a, &b}) {
    for (const double x : *values) largest = std::max(largest, std::abs(share_up_to(a, x) - share_up_to(b, x)));
  }
  return largest;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], at - static_cast<double>(below));
}

Style::Style(std::span<const std::string> answers) {
  std::int64_t all_words = 0;
  for (const std::string& answer : answers) {
    const TextParts parts = take_apart(answer);
    lengths_.push_back(static_cast<double>(parts.words.size()));
    all_words += std::ssize(parts.words);
    for (const std::string& word : parts.words) ++words_[word];
    for (const std::string& mark : parts.marks) ++marks_[mark];
  }
  if (all_words > 0) marks_["word"] = all_words;
}

double Style::mean_length() const {
  return std::accumulate(lengths_.begin(), lengths_.end(), 0.0) / static_cast<double>(lengths_.size());
}

StyleDistance::StyleDistance(const Style& a, const Style& b)
    : length(kolmogorov_smirnov(a.lengths_, b.lengths_)),
      words(jensen_shannon(a.words_, b.words_)),
      punctuation(jensen_shannon(a.marks_, b.marks_)) {}

}  // namespace attune
