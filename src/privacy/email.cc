// E-mail addresses: a local part, '@', and a domain of at least two labels whose last one is letters only (two or more).
// Taken: anna@example.com, anna.kovacs+bank@mail.co.uk, kata@posta.hu.
// Left alone: @anna (a mention), anna@localhost, 3@1.50, a@b.c.
#include <algorithm>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

// A byte of a letter beyond ASCII. U+0080 to U+00BF, U+2000 on and emoji are quotes, dashes, spaces and pictures: no part
// of an address.
bool beyond_ascii(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 && byte != 0xC2 && byte != 0xE2 && byte < 0xF0;
}
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
bool is_local(char c) {
  return is_digit(c) || is_ascii_letter(c) || beyond_ascii(c) ||
         std::string_view("._%+-").find(c) != std::string_view::npos;
}
bool is_label(char c) { return is_digit(c) || is_ascii_letter(c) || beyond_ascii(c) || c == '-'; }

// The end of the domain that begins at `begin`, or `begin` when there is none.
std::size_t domain_end(std::string_view text, std::size_t begin) {
  std::size_t end = begin, labels = 0, best = begin;
  while (end < text.size() && is_label(text[end]) && text[end] != '-') {
    const std::size_t label = end;
    while (end < text.size() && is_label(text[end])) ++end;
    std::size_t last = end;
    while (last > label && text[last - 1] == '-') --last;
    ++labels;
    const bool letters = std::all_of(text.begin() + static_cast<std::ptrdiff_t>(label),
                                     text.begin() + static_cast<std::ptrdiff_t>(last), is_ascii_letter);
    if (labels >= 2 && letters && last - label >= 2) best = last;
    if (end >= text.size() || text[end] != '.') break;
    ++end;
  }
  return best;
}

}  // namespace

void find_emails(std::string_view text, std::vector<Finding>& found) {
  std::size_t covered = 0;
  for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    std::size_t begin = at;
    while (begin > covered && is_local(text[begin - 1])) --begin;
    while (begin < at && is_continuation(text[begin])) ++begin;  // of a character that is no part
    while (begin < at && (text[begin] == '.' || text[begin] == '-' || text[begin] == '+')) ++begin;
    const std::size_t end = domain_end(text, at + 1);
    if (begin == at || end == at + 1) continue;
    found.push_back({begin, end, PrivateKind::kEmail, lower_ascii(text.substr(begin, end - begin))});
    covered = end;
  }
}

}  // namespace attune
