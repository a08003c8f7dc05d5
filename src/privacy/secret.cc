// Secrets that programs hand out, told from other text by how they begin.
//   tokens        a known prefix (hf_, sk-, ghp_, AKIA, "Bearer ", ...) and as many characters as it needs after it
//   private keys  "-----BEGIN ... PRIVATE KEY-----" of PEM and OpenSSH, to its END line where that is in the text
// Left alone: hf_hub_download, task-based, public keys.
#include <algorithm>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

bool is_upper_word(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_digit(c) || is_ascii_letter(c); }
bool is_token(char c) { return is_word(c) || c == '_' || c == '-'; }
bool is_bearer(char c) { return is_token(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
bool is_blank(char c) { return c == ' ' || c == '\n'; }

// A prefix and at least so many characters of a kind after it.
struct TokenForm {
  std::string_view prefix;
  std::size_t least;
  bool (*allowed)(char);
};
constexpr TokenForm kTokenForms[] = {
    {"hf_", 30, is_word},        {"api_org_", 30, is_word},  {"sk-", 20, is_token},         {"AKIA", 16, is_upper_word},
    {"ASIA", 16, is_upper_word}, {"ghp_", 36, is_word},      {"gho_", 36, is_word},         {"ghu_", 36, is_word},
    {"ghs_", 36, is_word},       {"ghr_", 36, is_word},      {"github_pat_", 40, is_token}, {"glpat-", 20, is_token},
    {"xoxb-", 10, is_token},     {"xoxp-", 10, is_token},    {"dapi", 32, is_hex},          {"AIza", 35, is_token},
    {"Bearer ", 20, is_bearer},  {"bearer ", 20, is_bearer},
};

// Characters without a blank in every form: those of "xoxb-" and ten more.
constexpr std::size_t kShortestToken = 15;

// Whether so many characters stand in the text without a blank among them. Most texts have none, and few of their
// characters are looked at: those before the last blank of a stretch need no look.
bool has_run(std::string_view text, std::size_t characters) {
  for (std::size_t begin = 0; begin + characters <= text.size();) {
    std::size_t at = begin + characters;
    while (at > begin && !is_blank(text[at - 1])) --at;
    if (at == begin) return true;
    begin = at;
  }
  return false;
}

void find_tokens(std::string_view text, std::vector<Finding>& found) {
  if (!has_run(text, kShortestToken)) return;
  for (const TokenForm& form : kTokenForms) {
    for (std::size_t at = text.find(form.prefix); at != text.npos;) {
      const std::size_t begin = at + form.prefix.size();
      std::size_t end = begin;
      while (end < text.size() && form.allowed(text[end])) ++end;
      const bool taken = end - begin >= form.least && (at == 0 || !is_word(text[at - 1]));
      if (taken) found.push_back({at, end, PrivateKind::kToken, std::string(text.substr(at, end - at))});
      at = text.find(form.prefix, taken ? end : at + 1);
    }
  }
}

void find_private_keys(std::string_view text, std::vector<Finding>& found) {
  constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ", kLabel = "PRIVATE KEY", kDashes = "-----";
  for (std::size_t at = text.find(kBegin); at != text.npos;) {
    const std::string_view rest = text.substr(at + kBegin.size(), 40);
    const std::size_t label = rest.find(kLabel);
    std::size_t next = at + 1;
    if (label != rest.npos && rest.substr(0, label).find('\n') == rest.npos) {
      next = at + kBegin.size() + label + kLabel.size();
      if (text.substr(next).starts_with(kDashes)) next += kDashes.size();
      const std::size_t last = text.find(kEnd, next);
      const std::size_t closed = last == text.npos ? last : text.find(kDashes, last + kEnd.size());
      if (closed != text.npos) next = closed + kDashes.size();
      found.push_back({at, next, PrivateKind::kPrivateKey, std::string(text.substr(at, next - at))});
    }
    at = text.find(kBegin, next);
  }
}

}  // namespace

void find_secrets(std::string_view text, std::vector<Finding>& found) {
  std::vector<Finding> all;
  find_tokens(text, all);
  find_private_keys(text, all);
  std::sort(all.begin(), all.end(), [](const Finding& a, const Finding& b) { return a.begin < b.begin; });
  std::size_t covered = 0;
  for (Finding& finding : all) {
    if (finding.begin < covered) continue;
    covered = finding.end;
    found.push_back(std::move(finding));
  }
}

}  // namespace attune
