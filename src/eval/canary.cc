#include "eval/canary.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/ascii.h"
#include "base/error.h"
#include "base/rng.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 24;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool varies(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }

char redraw(char c, Rng& rng) {
  const char first = is_digit(c) ? '0' : is_lower(c) ? 'a' : 'A';
  return static_cast<char>(first + static_cast<char>(rng.below(is_digit(c) ? 10 : 26)));
}

template <typename Predicate>
std::vector<std::size_t> places(std::string_view text, std::size_t begin, std::size_t end, Predicate wanted) {
  std::vector<std::size_t> found;
  for (std::size_t i = begin; i < end; ++i) {
    if (wanted(text[i])) found.push_back(i);
  }
  return found;
}

Canary parse_line(std::string line, const std::string& where) {
  Canary canary{where, std::move(line), {}};
  std::string& text = canary.text;
  const std::size_t open = text.find("[["), close = text.find("]]", open == text.npos ? 0 : open);
  if (open != text.npos && close != text.npos) {
    text.erase(close, 2);
    text.erase(open, 2);
    canary.secret = places(text, open, close - 2, varies);
  } else {
    canary.secret = places(text, 0, text.size(), is_digit);
    if (canary.secret.empty()) {
      std::size_t end = text.size();
      while (end > 0 && !varies(text[end - 1])) --end;
      std::size_t begin = end;
      while (begin > 0 && varies(text[begin - 1])) --begin;
      canary.secret = places(text, begin, end, varies);
    }
  }
  if (canary.secret.empty()) throw BadFile("[{}] the canary has no letter or digit (A-Z, 0-9) to vary", where);
  return canary;
}

}  // namespace

std::vector<Canary> parse_canaries(std::string_view text, const std::string& name) {
  std::vector<Canary> canaries;
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == line.npos) continue;
    canaries.push_back(parse_line(std::move(line), fmt::format("{}:{}", name, number)));
  }
  if (canaries.empty()) throw BadFile("[{}] the file has no canary", name);
  return canaries;
}

std::vector<Canary> read_canaries(const fs::path& file) {
  return parse_canaries(read_file(file, kMostBytes), file.string());
}

std::vector<std::string> other_secrets(const Canary& canary, std::size_t count, std::uint64_t seed) {
  Rng rng{seed, 0xCA9A, 0};
  std::set<std::string> seen = {canary.text};
  std::vector<std::string> lines;
  for (std::size_t tries = 0; lines.size() < count && tries < 20 * count; ++tries) {
    std::string line = canary.text;
    for (const std::size_t place : canary.secret) line[place] = redraw(line[place], rng);
    if (seen.insert(line).second) lines.push_back(std::move(line));
  }
  return lines;
}

double exposure(std::int64_t rank, std::int64_t candidates) {
  return std::log2(static_cast<double>(candidates) / static_cast<double>(rank));
}

}  // namespace attune
