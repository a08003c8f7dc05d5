#include "http/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/ascii.h"
#include "base/freed.h"

namespace attune {
namespace {

using Url = std::unique_ptr<CURLU, FreedBy<curl_url_cleanup>>;

// Nothing when `text` is not an absolute http(s) URL.
Url parse_url(const std::string& text, unsigned flags = 0) {
  Url url(curl_url());
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), flags) != CURLUE_OK) return nullptr;
  return url;
}

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

std::string percent_encode(std::string_view text, std::string_view keep) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       keep.find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::optional<std::string> origin_of(std::string_view text) {
  const Url url = parse_url(std::string(text));
  if (url == nullptr) return std::nullopt;
  const std::string scheme = lower_ascii(part(url, CURLUPART_SCHEME));
  if (scheme != "http" && scheme != "https") return std::nullopt;
  return fmt::format("{}://{}:{}", scheme, lower_ascii(part(url, CURLUPART_HOST)),
                     part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::optional<std::string> join_url(const std::string& base, const std::string& location) {
  const Url url = parse_url(base);
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) return std::nullopt;
  std::string joined = part(url, CURLUPART_URL);
  if (!origin_of(joined)) return std::nullopt;
  return joined;
}

std::string shown_url(const std::string& text) {
  const Url url = parse_url(text, CURLU_NON_SUPPORT_SCHEME);
  if (url == nullptr) return "a malformed URL";
  for (const CURLUPart hidden : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(url.get(), hidden, nullptr, 0);
  }
  return part(url, CURLUPART_URL);
}

bool is_relative_url(std::string_view location) {
  if (location.starts_with("//")) return false;
  const std::size_t colon = location.find(':');
  return colon == std::string_view::npos || location.find_first_of("/?#") < colon;
}

}  // namespace attune
