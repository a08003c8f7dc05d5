// URLs: percent-encoding, comparing, joining (RFC 3986, through libcurl), and showing them without what may be secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attune {

// Everything but letters, digits and "-._~" becomes %XX; so do not the characters of `keep`.
std::string percent_encode(std::string_view text, std::string_view keep = {});

// "https://host:port" in lower case with the scheme's default port spelt out; nothing when `url` is not an http(s) URL.
std::optional<std::string> origin_of(std::string_view url);

// `location` as seen from `base`; nothing when either is no URL.
std::optional<std::string> join_url(const std::string& base, const std::string& location);

// Scheme, host and path: without user, password, query and fragment, which may hold signatures and tokens.
std::string shown_url(const std::string& url);

// A Location or Link that names no host of its own.
bool is_relative_url(std::string_view location);

}  // namespace attune
