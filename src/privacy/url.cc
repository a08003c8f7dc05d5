// Links that open something for whoever has them: with a password before the host, with a key, token, signature or
// session in the query, with a long random part in the path or query, and invitations. Links to maps that show a place
// are coordinates.
// Taken: https://user:pw@host/, https://host/?access_token=x, https://docs.example.com/d/1aB3...(20 and more), chat
// invitations.
// Left alone: https://en.wikipedia.org/wiki/Tokaj, https://shop.example.com/item?id=4711&page=2.
#include <algorithm>
#include <array>

#include "privacy/characters.h"
#include "privacy/finding.h"

namespace attune {
namespace {

constexpr std::array<std::string_view, 26> kSecretKeys = {
    "token",   "access_token", "id_token", "refresh_token", "auth",     "authkey", "auth_token", "key",   "apikey",
    "api_key", "api-key",      "secret",   "client_secret", "password", "passwd",  "pwd",        "pass",  "pin",
    "sig",     "signature",    "session",  "sessionid",     "sid",      "jwt",     "otp",        "invite"};
constexpr std::array<std::string_view, 8> kInvitations = {"chat.whatsapp.com/",
                                                          "t.me/joinchat/",
                                                          "t.me/+",
                                                          "discord.gg/",
                                                          "discord.com/invite/",
                                                          "discord.com/api/webhooks/",
                                                          "hooks.slack.com/services/",
                                                          "signal.group/"};
constexpr std::size_t kRandomLength = 20;

// A run of letters, digits, '-' and '_' that no person would write: long, with digits among letters of both cases, or
// hexadecimal.
bool looks_random(std::string_view part) {
  if (part.size() < kRandomLength) return false;
  std::size_t digits = 0, upper = 0, lower = 0, hex = 0, words = 1;
  for (const char c : part) {
    if (is_digit(c))
      ++digits;
    else if (c >= 'A' && c <= 'Z')
      ++upper;
    else if (c >= 'a' && c <= 'z')
      ++lower;
    else if (c == '-' || c == '_')
      ++words;
    else
      return false;
    hex += is_digit(c) || (lower_ascii(c) >= 'a' && lower_ascii(c) <= 'f');
  }
  if (hex + words - 1 == part.size() && digits > 0 && digits < part.size() - words + 1) return true;
  // "how-to-make-2-Pancakes": words of letters with a number here and there.
  return digits >= 2 && upper >= 2 && lower >= 2 && part.size() / words >= 8;
}

bool is_secret_key(std::string_view key) {
  const std::string lower = lower_ascii(key);
  if (std::find(kSecretKeys.begin(), kSecretKeys.end(), lower) != kSecretKeys.end()) return true;
  return lower.starts_with("x-amz-") || lower.starts_with("x-goog-") || lower.ends_with("token") ||
         lower.ends_with("_key") || lower.ends_with("secret") || lower.ends_with("password");
}

template <typename Visit>
void for_each_part(std::string_view text, std::string_view separators, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// `rest` is the link after its scheme.
bool is_private(std::string_view rest) {
  const std::size_t host_end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, host_end);
  if (authority.find('@') != std::string_view::npos) return true;
  const std::string lower = lower_ascii(rest.substr(0, 64));
  for (const std::string_view place : kInvitations) {
    if ((lower.starts_with(place) || lower.starts_with("www." + std::string(place))) &&
        rest.size() > place.size() + 3) {
      return true;
    }
  }
  const std::size_t query = std::min(rest.find_first_of("?#"), rest.size());
  bool found = false;
  for_each_part(rest.substr(host_end, query - host_end), "/.=:,~",
                [&](auto part) { found = found || looks_random(part); });
  for_each_part(rest.substr(query), "?#&;", [&](std::string_view pair) {
    const std::size_t equals = pair.find('=');
    const std::string_view value = equals == std::string_view::npos ? pair : pair.substr(equals + 1);
    const bool secret = equals != std::string_view::npos && !value.empty() && is_secret_key(pair.substr(0, equals));
    found = found || secret || looks_random(value);
  });
  return found;
}

bool shows_a_place(std::string_view url) {
  std::vector<Finding> places;
  std::string plain(url);
  // "%2C" is the comma; '!3d47.4979!4d19.0402' is how a map writes its pin.
  for (std::size_t at; (at = lower_ascii(plain).find("%2c")) != std::string::npos;) plain.replace(at, 3, ",");
  if (const std::size_t pin = plain.find("!3d"); pin != std::string::npos) {
    const std::size_t east = plain.find("!4d", pin);
    if (east != std::string::npos) plain = plain.substr(pin + 3, east - pin - 3) + "," + plain.substr(east + 3);
  }
  for (char& c : plain) {
    if (std::string_view("@=/?&!_").find(c) != std::string_view::npos) c = ' ';
  }
  find_coordinates(plain, places);
  return !places.empty();
}

}  // namespace

void find_urls(std::string_view text, std::vector<Finding>& found) {
  std::size_t scheme = text.find("://"), www = text.find("www.");
  for (std::size_t i = 0; i < text.size();) {
    if (scheme < i) scheme = text.find("://", i);
    if (www < i) www = text.find("www.", i);
    if (scheme == std::string_view::npos && www == std::string_view::npos) return;
    std::size_t begin, host;
    if (www < scheme) {
      begin = host = www;
    } else {
      begin = scheme;
      while (begin > i && is_ascii_letter(text[begin - 1])) --begin;
      host = scheme + 3;
    }
    std::size_t end = host;
    while (end < text.size() && static_cast<unsigned char>(text[end]) > ' ' && text[end] != '<' && text[end] != '>' &&
           text[end] != '"' && text[end] != '`') {
      ++end;
    }
    while (end > host && std::string_view(".,;:!?)]}'*").find(text[end - 1]) != std::string_view::npos) --end;
    const std::string_view url = text.substr(begin, end - begin);
    const std::string_view rest = text.substr(host, end - host);
    i = std::max(end, host);
    if (rest.empty() || begin == scheme) continue;
    if (shows_a_place(url)) {
      found.push_back({begin, end, PrivateKind::kCoordinates, std::string(url)});
    } else if (is_private(rest)) {
      found.push_back({begin, end, PrivateKind::kUrl, std::string(url)});
    }
  }
}

}  // namespace attune
