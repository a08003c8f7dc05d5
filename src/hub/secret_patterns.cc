#include "hub/secret_patterns.h"

#include <algorithm>

namespace attune {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
bool is_word(char c) { return is_letter(c) || is_digit(c); }
bool is_token(char c) { return is_word(c) || c == '_' || c == '-'; }
bool is_bearer(char c) { return is_token(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='; }
bool is_upper_word(char c) { return is_upper(c) || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

using Predicate = bool (*)(char);

// A prefix and at least so many characters of a kind after it.
struct TokenForm {
  std::string_view prefix;
  std::size_t least;
  Predicate allowed;
};

constexpr TokenForm kTokenForms[] = {
    {"hf_", 30, is_word},        {"api_org_", 30, is_word},  {"sk-", 20, is_token},         {"AKIA", 16, is_upper_word},
    {"ASIA", 16, is_upper_word}, {"ghp_", 36, is_word},      {"gho_", 36, is_word},         {"ghu_", 36, is_word},
    {"ghs_", 36, is_word},       {"ghr_", 36, is_word},      {"github_pat_", 40, is_token}, {"glpat-", 20, is_token},
    {"xoxb-", 10, is_token},     {"xoxp-", 10, is_token},    {"dapi", 32, is_hex},          {"AIza", 35, is_token},
    {"Bearer ", 20, is_bearer},  {"bearer ", 20, is_bearer},
};

std::size_t run_length(std::string_view text, std::size_t begin, Predicate allowed) {
  std::size_t end = begin;
  while (end < text.size() && allowed(text[end])) ++end;
  return end - begin;
}

bool at_word_start(std::string_view text, std::size_t at) { return at == 0 || !is_word(text[at - 1]); }

void find_tokens(std::string_view text, std::vector<PatternMatch>& found) {
  for (const TokenForm& form : kTokenForms) {
    for (std::size_t at = text.find(form.prefix); at != text.npos; at = text.find(form.prefix, at + 1)) {
      const std::size_t length = run_length(text, at + form.prefix.size(), form.allowed);
      if (length >= form.least && at_word_start(text, at)) {
        found.push_back({FindingKind::kToken, at, at + form.prefix.size() + length});
      }
    }
  }
}

// "-----BEGIN ... PRIVATE KEY-----" of PEM and OpenSSH.
void find_private_keys(std::string_view text, std::vector<PatternMatch>& found) {
  constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "PRIVATE KEY";
  for (std::size_t at = text.find(kBegin); at != text.npos; at = text.find(kBegin, at + 1)) {
    const std::string_view rest = text.substr(at + kBegin.size(), 40);
    const std::size_t label = rest.find(kEnd);
    if (label != rest.npos && rest.substr(0, label).find('\n') == rest.npos) {
      found.push_back({FindingKind::kPrivateKey, at, at + kBegin.size() + label + kEnd.size()});
    }
  }
}

// Domains set aside for examples (RFC 2606), and what looks like a domain and is a file name.
bool is_no_address(std::string_view domain) {
  for (const std::string_view end : {"example.com", "example.org", "example.net", ".example", ".invalid", ".test",
                                     ".localhost", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}) {
    if (domain == end || (domain.size() > end.size() && domain.ends_with(end) &&
                          (end.front() == '.' || domain[domain.size() - end.size() - 1] == '.'))) {
      return true;
    }
  }
  return false;
}

void find_emails(std::string_view text, std::vector<PatternMatch>& found) {
  const auto local = [](char c) { return is_token(c) || c == '.' || c == '+' || c == '%'; };
  for (std::size_t at = text.find('@'); at != text.npos; at = text.find('@', at + 1)) {
    std::size_t begin = at;
    while (begin > 0 && at - begin < 64 && local(text[begin - 1])) --begin;
    while (begin < at && text[begin] == '.') ++begin;
    std::size_t end = at + 1;
    while (end < text.size() && end - at < 254 && (is_word(text[end]) || text[end] == '-' || text[end] == '.')) ++end;
    while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-')) --end;
    const std::string_view domain = text.substr(at + 1, end - at - 1);
    const std::size_t dot = domain.rfind('.');
    if (begin == at || dot == domain.npos || dot == 0 || domain.find("..") != domain.npos) continue;
    const std::string_view top = domain.substr(dot + 1);
    if (top.size() < 2 || !std::all_of(top.begin(), top.end(), is_letter)) continue;
    if (is_no_address(domain) || text.substr(begin, at - begin) == "git") continue;
    found.push_back({FindingKind::kEmail, begin, end});
  }
}

// A Hungarian number as it is dialled inside the country: 06, an area of one or two digits, six or seven digits whose first
// group has three or all of them (which no date has). `shape`: digits, one blank for each separator.
bool is_hungarian_number(std::string_view shape) {
  std::vector<std::string_view> groups;
  for (std::size_t begin = 0; begin <= shape.size();) {
    const std::size_t end = std::min(shape.find(' ', begin), shape.size());
    groups.push_back(shape.substr(begin, end - begin));
    begin = end + 1;
  }
  if (groups.size() < 2 || !groups[0].starts_with("06")) return false;
  const bool area_apart = groups[0].size() == 2;
  const std::size_t first = area_apart ? 2 : 1;  // of the groups of the number proper
  const std::size_t area = area_apart ? groups[1].size() : groups[0].size() - 2;
  if (area < 1 || area > 2 || first >= groups.size() || groups[first].size() < 3 || groups[first].size() == 4)
    return false;
  std::size_t digits = 0;
  for (std::size_t i = first; i < groups.size(); ++i) digits += groups[i].size();
  return digits == 6 || digits == 7;
}

// "+" and 8 to 15 digits in groups; or, without it, the national forms 06 30 123 4567 and (212) 555-0123, 212-555-0123.
void find_phones(std::string_view text, std::vector<PatternMatch>& found) {
  const auto separator = [](char c) { return c == ' ' || c == '-' || c == '/' || c == '.' || c == '(' || c == ')'; };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '+' && c != '0' && c != '(' && !is_digit(c)) continue;
    if (at > 0 && (is_word(text[at - 1]) || text[at - 1] == '.' || text[at - 1] == '_' || text[at - 1] == '-' ||
                   text[at - 1] == '+'))
      continue;
    std::string shape;  // digits as they are, one space for a separator
    std::size_t end = at + (c == '+' ? 1 : 0), last = end;
    for (; end < text.size() && shape.size() < 40; ++end) {
      if (is_digit(text[end])) {
        shape += text[end];
        last = end + 1;
      } else if (separator(text[end])) {
        if (text[end] == ' ' && end > at && text[end - 1] == ' ') break;  // two blanks end a number
        if (!shape.empty() && shape.back() != ' ') shape += ' ';
      } else {
        break;
      }
    }
    if (last < text.size() && (is_word(text[last]) || text[last] == '_')) continue;
    while (!shape.empty() && shape.back() == ' ') shape.pop_back();
    const auto digits = static_cast<std::size_t>(std::count_if(shape.begin(), shape.end(), is_digit));
    const bool international =
        c == '+' && digits >= 8 && digits <= 15 && !shape.empty() && shape.front() != '0' && is_digit(text[at + 1]);
    const bool hungarian = c == '0' && is_hungarian_number(shape);
    const bool american =
        digits == 10 && shape.size() == 12 && shape[3] == ' ' && shape[7] == ' ' && shape[0] >= '2' && shape[4] >= '2';
    if (international || hungarian || american) {
      found.push_back({FindingKind::kPhone, at, last});
      at = last;
    }
  }
}

// ISO 13616: two letters, two check digits, up to 30 letters and digits in groups of four; the whole modulo 97 is 1.
void find_ibans(std::string_view text, std::vector<PatternMatch>& found) {
  for (std::size_t at = 0; at + 15 <= text.size(); ++at) {
    if (!is_upper(text[at]) || !is_upper(text[at + 1]) || !is_digit(text[at + 2]) || !is_digit(text[at + 3])) continue;
    if (!at_word_start(text, at)) continue;
    std::string compact;
    std::size_t end = at;
    while (end < text.size() && compact.size() < 34) {
      if (is_upper_word(text[end])) {
        compact += text[end++];
      } else if (text[end] == ' ' && compact.size() % 4 == 0 && end + 1 < text.size() && is_upper_word(text[end + 1])) {
        ++end;
      } else {
        break;
      }
    }
    // A word after the number may have been taken for its last group: try shorter ones as well.
    for (std::size_t length = compact.size(); length >= 15; --length) {
      int remainder = 0;
      for (std::size_t i = 0; i < length; ++i) {
        const char c = compact[(i + 4) % length];
        remainder = is_digit(c) ? (remainder * 10 + (c - '0')) % 97 : (remainder * 100 + (c - 'A' + 10)) % 97;
      }
      const bool whole = length == compact.size() ? (end == text.size() || !is_word(text[end]))
                                                  : length % 4 == 0 || compact.size() - length >= 2;
      if (remainder == 1 && whole) {
        found.push_back({FindingKind::kIban, at, end});
        at = end;
        break;
      }
    }
  }
}

}  // namespace

bool is_secret(FindingKind kind) { return kind == FindingKind::kToken || kind == FindingKind::kPrivateKey; }

const char* kind_name(FindingKind kind) {
  switch (kind) {
    case FindingKind::kToken:
      return "token";
    case FindingKind::kPrivateKey:
      return "private-key";
    case FindingKind::kEmail:
      return "email";
    case FindingKind::kPhone:
      return "phone";
    case FindingKind::kIban:
      return "iban";
  }
  return "";
}

std::vector<PatternMatch> find_patterns(std::string_view text, bool personal) {
  std::vector<PatternMatch> found;
  find_tokens(text, found);
  find_private_keys(text, found);
  if (personal) {
    find_emails(text, found);
    find_phones(text, found);
    find_ibans(text, found);
  }
  std::sort(found.begin(), found.end(), [](const PatternMatch& a, const PatternMatch& b) { return a.begin < b.begin; });
  return found;
}

}  // namespace attune
