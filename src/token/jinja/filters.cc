#include "token/jinja/filters.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "token/jinja/builtins.h"

namespace attune::jinja {
namespace {

struct Row {
  std::string_view name;
  FilterFunction function;
};

constexpr Row kFilters[] = {
    {"abs", filter_abs},
    {"attr", filter_attr},
    {"batch", filter_batch},
    {"capitalize", filter_capitalize},
    {"center", filter_center},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"first", filter_first},
    {"float", filter_float},
    {"forceescape", filter_forceescape},
    {"format", filter_format},
    {"groupby", filter_groupby},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_lower},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"round", filter_round},
    {"safe", filter_safe},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"string", filter_string},
    {"sum", filter_sum},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"truncate", filter_truncate},
    {"unique", filter_unique},
    {"upper", filter_upper},
    {"wordcount", filter_wordcount},
};

// Filters of jinja2 for web pages, terminals and chance; no chat template is known to use one.
constexpr std::string_view kLeftOut[] = {"filesizeformat", "pprint", "random",   "striptags",
                                         "urlencode",      "urlize", "wordwrap", "xmlattr"};

}  // namespace

FilterFunction find_filter(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Row& row) { return row.name == name; });
  if (found != std::end(kFilters)) return found->function;
  if (std::find(std::begin(kLeftOut), std::end(kLeftOut), name) != std::end(kLeftOut)) {
    throw Unsupported("[chat template] the filter '{}' is not available in this version", name);
  }
  return nullptr;
}

AttributeGetter::AttributeGetter(Runtime& runtime, const Value& attribute, bool ignore_case, const Value& fallback)
    : runtime_(runtime), ignore_case_(ignore_case), fallback_(fallback) {
  if (attribute.missing() || attribute.is(Type::kNone)) return;
  if (!attribute.is(Type::kString)) {
    path_.push_back(attribute);
    return;
  }
  std::string_view rest = attribute.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    const auto index = number ? parse_integer(part, 10) : std::nullopt;
    path_.push_back(index ? Value::of(*index) : runtime.string(part));
    if (dot == rest.npos) break;
    rest = rest.substr(dot + 1);
  }
}

Value AttributeGetter::operator()(const Value& item) const {
  Value value = item;
  for (const Value& part : path_) {
    value = runtime_.get_item(value, part);
    const bool replaced = value.is(Type::kUndefined) && !fallback_.missing() && !fallback_.is(Type::kNone);
    if (replaced) value = fallback_;
  }
  if (!ignore_case_ || !value.is(Type::kString)) return value;
  Arguments none;
  return filter_lower(runtime_, value, none);
}

}  // namespace attune::jinja
