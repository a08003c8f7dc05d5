// JSON from outside: nlohmann::json behind a bounded parser and getters whose errors name the file and the key.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace attune {

using Json = nlohmann::ordered_json;

// Parses strict JSON. `where` begins the error message (a file name, or "file:line"). Nesting deeper than 256 and
// duplicate keys in one object are refused. Throws BadFile. Invalid UTF-8 inside strings is an error as well.
Json parse_json(std::string_view text, const std::string& where);

// The same with sorted objects, for tables with many keys: finding a key in a Json object takes linear time.
using SortedJson = nlohmann::json;
SortedJson parse_sorted_json(std::string_view text, const std::string& where);

// object[key] as T, or nullopt when the key is absent or null. Throws BadFile when the type is another.
template <typename T>
std::optional<T> json_get(const Json& object, const char* key, const std::string& where);

// Like json_get, with a default.
template <typename T>
T json_get_or(const Json& object, const char* key, T fallback, const std::string& where) {
  return json_get<T>(object, key, where).value_or(std::move(fallback));
}

// Like json_get; a missing key is BadFile.
template <typename T>
T json_require(const Json& object, const char* key, const std::string& where) {
  if (auto value = json_get<T>(object, key, where)) return *std::move(value);
  throw BadFile("[{}] key \"{}\" is missing", where, key);
}

// One line of JSON (no spaces, UTF-8 as is; invalid UTF-8 becomes U+FFFD).
std::string to_json_line(const Json& value);

// Appends the text as a JSON string with its quotes, as to_json_line() writes it.
void append_json_string(std::string& line, std::string_view text);

extern template std::optional<std::int64_t> json_get(const Json&, const char*, const std::string&);
extern template std::optional<double> json_get(const Json&, const char*, const std::string&);
extern template std::optional<bool> json_get(const Json&, const char*, const std::string&);
extern template std::optional<std::string> json_get(const Json&, const char*, const std::string&);

}  // namespace attune
