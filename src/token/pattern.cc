#include "token/pattern.h"

namespace attune {

std::vector<Match> Pattern::find(std::string_view text) const {
  if (const auto* regex = std::get_if<Regex>(&what)) return regex->find(text);
  const std::string& needle = std::get<std::string>(what);
  if (needle.empty()) return {{0, text.size(), false}};
  return find_string(text, needle);
}

std::string Pattern::replace(std::string_view text, std::string_view content) const {
  std::string replaced;
  for (const Match& slice : find(text)) {
    replaced += slice.matched ? content : text.substr(slice.begin, slice.end - slice.begin);
  }
  return replaced;
}

Pattern read_pattern(const Json& value, const std::string& where) {
  const auto pattern = value.find("pattern");
  if (pattern == value.end()) throw BadFile("[{}] key \"pattern\" is missing", where);
  if (auto text = json_get<std::string>(*pattern, "String", where)) return {*std::move(text)};
  if (auto text = json_get<std::string>(*pattern, "Regex", where)) return {Regex(*text, where)};
  throw BadFile("[{}] key \"pattern\": expected {{\"String\": ...}} or {{\"Regex\": ...}}", where);
}

}  // namespace attune
