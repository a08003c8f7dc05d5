#include "train/key_value.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/byte_size.h"
#include "base/json.h"

namespace attune {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string number_text(std::int64_t value) { return fmt::format("{}", value); }
std::string number_text(double value) { return fmt::format("{}", value); }  // the shortest that reads back equal

bool within(double value, const NumberRange& range) {
  return (range.low_open ? value > range.low : value >= range.low) &&
         (range.high_open ? value < range.high : value <= range.high);
}

std::string range_text(const NumberRange& range) {
  std::string text;
  if (std::isfinite(range.low)) text += fmt::format(" {} {:.15g}", range.low_open ? "above" : "from", range.low);
  if (std::isfinite(range.high))
    text += fmt::format(" {} {:.15g}", range.high_open ? "below" : range.low_open ? "up to" : "to", range.high);
  return text;
}

template <typename Number>
std::optional<Number> parse_number(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar || node.quoted) return std::nullopt;
  Number value{};
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (error != std::errc{} || stop != end || !std::isfinite(static_cast<double>(value))) return std::nullopt;
  return value;
}

// Text from outside ends in paths and messages: control characters have no business there.
std::optional<std::string> parse_text(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar || node.text.empty()) return std::nullopt;
  const bool control =
      std::any_of(node.text.begin(), node.text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return control ? std::nullopt : std::optional(node.text);
}

std::optional<TextList> parse_text_list(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kList || node.children.empty()) return std::nullopt;
  TextList list;
  for (const YamlNode& child : node.children) {
    auto text = parse_text(child);
    if (!text) return std::nullopt;
    list.push_back(*std::move(text));
  }
  return list;
}

std::optional<std::uint64_t> parse_bytes(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar) return std::nullopt;
  return node.text == "auto" ? std::optional<std::uint64_t>(0) : parse_byte_size(node.text);
}

std::string bytes_text(std::uint64_t bytes) { return bytes == 0 ? "auto" : byte_size_text(bytes); }

std::string list_text(const TextList& list) {
  std::vector<std::string> quoted;
  for (const std::string& text : list) quoted.push_back(quoted_text(text));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

template <typename Number>
std::string pattern_text(const Pattern<Number>& pattern) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : pattern) parts.push_back(quoted_text(name) + ": " + number_text(value));
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

template <typename Number>
bool assign_number(Number& field, const YamlNode& node, const NumberRange& range) {
  const auto value = parse_number<Number>(node);
  if (!value || !within(static_cast<double>(*value), range)) return false;
  field = *value;
  return true;
}

template <typename Number>
bool assign_pattern(Pattern<Number>& field, const YamlNode& node, const NumberRange& range) {
  if (node.kind != YamlNode::Kind::kMap) return false;
  Pattern<Number> pattern;
  for (const YamlNode& child : node.children) {
    Number value{};
    if (child.key.empty() || !assign_number(value, child, range)) return false;
    pattern.emplace_back(child.key, value);
  }
  field = std::move(pattern);
  return true;
}

template <typename Target, typename Value>
bool assign_if(Target& target, std::optional<Value> value) {
  if (!value) return false;
  target = *std::move(value);
  return true;
}

bool assign_choice(const Choice& choice, const YamlNode& node) {
  const auto name = std::find(choice.names.begin(), choice.names.end(), node.text);
  if (node.kind != YamlNode::Kind::kScalar || name == choice.names.end()) return false;
  choice.set(static_cast<std::size_t>(name - choice.names.begin()));
  return true;
}

}  // namespace

// JSON's quoted text is also YAML's.
std::string quoted_text(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool assign(const Key& key, const YamlNode& node) {
  return std::visit(Overloaded{
                        [&](std::string* text) { return assign_if(*text, parse_text(node)); },
                        [&](std::int64_t* number) { return assign_number(*number, node, key.range); },
                        [&](double* number) { return assign_number(*number, node, key.range); },
                        [&](bool* flag) {
                          const bool yes = node.text == "true" || node.text == "True";
                          if (node.quoted || (!yes && node.text != "false" && node.text != "False")) return false;
                          *flag = yes;
                          return true;
                        },
                        [&](std::uint64_t* bytes) { return assign_if(*bytes, parse_bytes(node)); },
                        [&](const Choice& choice) { return assign_choice(choice, node); },
                        [&](TextList* list) {
                          if (auto text = parse_text(node))
                            return assign_if(*list, std::optional(TextList{*std::move(text)}));
                          return assign_if(*list, parse_text_list(node));
                        },
                        [&](TextOrList* either) {
                          return assign_if(*either, parse_text(node)) || assign_if(*either, parse_text_list(node));
                        },
                        [&](auto* pattern) { return assign_pattern(*pattern, node, key.range); },
                    },
                    key.field);
}

std::string value_text(const Field& field) {
  return std::visit(Overloaded{
                        [](std::string* text) { return quoted_text(*text); },
                        [](std::int64_t* number) { return number_text(*number); },
                        [](double* number) { return number_text(*number); },
                        [](bool* flag) { return std::string(*flag ? "true" : "false"); },
                        [](std::uint64_t* bytes) { return bytes_text(*bytes); },
                        [](const Choice& choice) { return choice.names.at(choice.get()); },
                        [](TextList* list) { return list_text(*list); },
                        [](TextOrList* either) {
                          const auto* list = std::get_if<TextList>(either);
                          return list ? list_text(*list) : quoted_text(std::get<std::string>(*either));
                        },
                        [](auto* pattern) { return pattern_text(*pattern); },
                    },
                    field);
}

std::string type_text(const Key& key) {
  const std::string range = range_text(key.range);
  return std::visit(Overloaded{
                        [](std::string*) { return std::string("text"); },
                        [&](std::int64_t*) { return "a whole number" + range; },
                        [&](double*) { return "a number" + range; },
                        [](bool*) { return std::string("true or false"); },
                        [](std::uint64_t*) { return std::string("auto or a size such as 5GB or 512MiB"); },
                        [](const Choice& choice) { return fmt::format("{}", fmt::join(choice.names, " | ")); },
                        [](TextList*) { return std::string("text or a list of texts"); },
                        [](TextOrList*) { return std::string("text or a list of texts"); },
                        [&](Pattern<std::int64_t>*) { return "a map from text to a whole number" + range; },
                        [&](Pattern<double>*) { return "a map from text to a number" + range; },
                    },
                    key.field);
}

std::string found_text(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return node.children.empty() ? "an empty list" : "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  constexpr std::size_t kMost = 60;
  const std::string clipped = node.text.size() > kMost ? node.text.substr(0, kMost) + "..." : node.text;
  const bool plain = !node.quoted && !clipped.empty() && quoted_text(clipped).size() == clipped.size() + 2;
  return plain ? clipped : quoted_text(clipped);
}

}  // namespace attune
