#include "base/json.h"

#include <set>
#include <vector>

#include "base/utf8.h"

namespace attune {
namespace {

constexpr int kMaxDepth = 256;

const char* type_name(const Json& value) {
  return value.is_number_integer() ? "an integer" : value.is_number() ? "a number" : value.type_name();
}

template <typename T>
constexpr const char* kWanted = "";
template <>
constexpr const char* kWanted<std::int64_t> = "an integer";
template <>
constexpr const char* kWanted<double> = "a number";
template <>
constexpr const char* kWanted<bool> = "true or false";
template <>
constexpr const char* kWanted<std::string> = "a string";

template <typename T>
bool holds(const Json& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value.is_boolean();
  else if constexpr (std::is_same_v<T, std::string>)
    return value.is_string();
  else if constexpr (std::is_same_v<T, double>)
    return value.is_number();
  // An unsigned value above INT64_MAX would wrap to a negative one.
  else
    return value.is_number_integer() &&
           !(value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX));
}

template <typename AnyJson>
AnyJson parse(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;  // of the open objects
  const auto check = [&](int depth, typename AnyJson::parse_event_t event, AnyJson& parsed) {
    if (depth > kMaxDepth) throw BadFile("[{}] JSON is nested deeper than {}", where, kMaxDepth);
    if (event == AnyJson::parse_event_t::object_start) keys.emplace_back();
    if (event == AnyJson::parse_event_t::object_end) keys.pop_back();
    if (event == AnyJson::parse_event_t::key && !keys.back().insert(parsed.template get<std::string>()).second) {
      throw BadFile("[{}] JSON key \"{}\" appears twice in one object", where, parsed.template get<std::string>());
    }
    return true;
  };
  try {
    return AnyJson::parse(text.begin(), text.end(), check);
  } catch (const nlohmann::json::parse_error& error) {
    throw BadFile("[{}] not valid JSON near byte {}", where, error.byte);
  } catch (const nlohmann::json::exception& error) {
    throw BadFile("[{}] not valid JSON: {}", where, error.what());
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) { return parse<Json>(text, where); }

SortedJson parse_sorted_json(std::string_view text, const std::string& where) { return parse<SortedJson>(text, where); }

template <typename T>
std::optional<T> json_get(const Json& object, const char* key, const std::string& where) {
  if (!object.is_object()) throw BadFile("[{}] expected a JSON object, got {}", where, type_name(object));
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (!holds<T>(*found)) {
    throw BadFile("[{}] key \"{}\": expected {}, got {}", where, key, kWanted<T>, type_name(*found));
  }
  return found->get<T>();
}

template std::optional<std::int64_t> json_get(const Json&, const char*, const std::string&);
template std::optional<double> json_get(const Json&, const char*, const std::string&);
template std::optional<bool> json_get(const Json&, const char*, const std::string&);
template std::optional<std::string> json_get(const Json&, const char*, const std::string&);

void append_json_string(std::string& line, std::string_view text) {
  const std::string repaired = is_valid_utf8(text) ? "" : to_valid_utf8(text);
  if (!repaired.empty()) text = repaired;
  line += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    line.append(text, copied, i - copied);
    copied = i + 1;
    static constexpr std::string_view kNamed = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt";
    if (const auto name = kNamed.find(text[i]); name != std::string_view::npos)
      (line += '\\') += kNames[name];
    else
      line += fmt::format("\\u{:04x}", c);
  }
  line.append(text, copied) += '"';
}

std::string to_json_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace attune
