#include "http/header_fields.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace attune {
namespace {

constexpr double kLongestWait = 86400;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Up to the next `separator` outside double quotes; removes it from `text`.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size() && (quoted || text[end] != separator); ++end) {
    if (text[end] == '"') quoted = !quoted;
    if (text[end] == '\\' && quoted && end + 1 < text.size()) ++end;
  }
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

std::string_view unquote(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

// A whole number of at most nine digits.
std::optional<double> seconds_from(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.size() > 9 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "policy";r=REMAINING;t=SECONDS, the first policy with nothing remaining.
std::optional<double> rate_limit_wait(std::string_view field) {
  while (!field.empty()) {
    std::string_view policy = take_until(field, ',');
    std::optional<double> remaining, seconds;
    while (!policy.empty()) {
      const std::string_view parameter = trim(take_until(policy, ';'));
      if (parameter.starts_with("r=")) remaining = seconds_from(parameter.substr(2));
      if (parameter.starts_with("t=")) seconds = seconds_from(parameter.substr(2));
    }
    if (remaining == 0.0 && seconds) return *seconds + 1;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> next_link(std::string_view link) {
  while (!link.empty()) {
    const std::size_t open = link.find('<');
    const std::size_t close = link.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    const std::string_view target = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    std::string_view parameters = take_until(link, ',');
    while (!parameters.empty()) {
      std::string_view value = trim(take_until(parameters, ';'));
      const std::string_view name = trim(take_until(value, '='));
      if (equal_without_case(name, "rel") && equal_without_case(unquote(trim(value)), "next")) {
        return std::string(target);
      }
    }
  }
  return std::nullopt;
}

std::optional<double> asked_wait(const Headers& headers, double unix_now) {
  std::optional<double> wait;
  if (const auto field = headers.get("Retry-After")) {
    wait = seconds_from(trim(*field));
    if (!wait) {
      const std::time_t date = curl_getdate(field->c_str(), nullptr);
      if (date != -1) wait = static_cast<double>(date) - unix_now;
    }
  }
  if (!wait) {
    if (const auto field = headers.get("RateLimit")) wait = rate_limit_wait(*field);
  }
  if (wait) wait = std::clamp(*wait, 0.0, kLongestWait);
  return wait;
}

}  // namespace attune
