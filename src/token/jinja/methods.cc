// Methods of str, list, tuple, dict and numbers that the sandbox lets a template call.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "token/jinja/builtins.h"
#include "token/jinja/runtime.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

#define ATTUNE_METHOD(name) Value name([[maybe_unused]] Runtime& runtime, const Value& self, Arguments& arguments)

void positional_only(std::string_view name, const Arguments& arguments) {
  if (!arguments.named.empty()) fail("{} takes no keyword arguments", name);
}

// Results of Markup's methods are Markup.
Value like(Runtime& runtime, const Value& self, std::string_view text) {
  return runtime.string(text, self.string().markup);
}

Value list_like(Runtime& runtime, const Value& self, const std::vector<std::string_view>& parts) {
  std::vector<Value> values;
  values.reserve(parts.size());
  for (std::string_view part : parts) values.push_back(like(runtime, self, part));
  return runtime.heap().list(std::move(values));
}

std::string_view text_argument(const Value& value, std::string_view what) {
  if (value.is(Type::kUndefined)) fail("{}", value.as<Undefined>().reason());
  if (!value.is(Type::kString)) fail("{} must be str, not {}", what, type_name(value));
  return value.text();
}

// -- Case

template <std::string (*convert)(std::string_view)>
ATTUNE_METHOD(convert_case) {
  const Bound bound("this method", arguments, {}, 0);
  return like(runtime, self, convert(self.text()));
}

// -- Tests on every character

template <bool (*predicate)(char32_t)>
ATTUNE_METHOD(all_characters) {
  const Bound bound("this method", arguments, {}, 0);
  const std::u32string text = decode(self.text());
  return Value::of(!text.empty() && std::all_of(text.begin(), text.end(), predicate));
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_digit(c); }

ATTUNE_METHOD(str_isascii) {
  const Bound bound("isascii()", arguments, {}, 0);
  return Value::of(self.string().ascii());
}
ATTUNE_METHOD(str_isprintable) {
  const Bound bound("isprintable()", arguments, {}, 0);
  const std::u32string text = decode(self.text());
  return Value::of(std::all_of(text.begin(), text.end(), is_printable));
}
ATTUNE_METHOD(str_isidentifier) {
  const Bound bound("isidentifier()", arguments, {}, 0);
  return Value::of(is_identifier(self.text()));
}

template <bool upper>
ATTUNE_METHOD(str_is_case) {
  return Value::of(find_test(upper ? "upper" : "lower")(runtime, self, arguments));
}

ATTUNE_METHOD(str_istitle) {
  const Bound bound("istitle()", arguments, {}, 0);
  bool cased = false, in_word = false;
  for (char32_t c : decode(self.text())) {
    const bool starts = is_upper(c) || is_title(c);
    if ((starts && in_word) || (is_lower(c) && !in_word)) return Value::of(false);
    in_word = starts || is_lower(c);
    cased = cased || in_word;
  }
  return Value::of(cased);
}

// -- Strip, split, join

template <Side side>
ATTUNE_METHOD(str_strip) {
  positional_only("strip()", arguments);
  const Bound bound("strip()", arguments, {"chars"}, 0);
  if (!bound.has(0) || bound[0].is(Type::kNone)) return like(runtime, self, strip(self.text(), side));
  runtime.step(self.text().size() / 64);
  return like(runtime, self, strip(self.text(), side, text_argument(bound[0], "strip arg")));
}

std::vector<std::string_view> split_at(Runtime& runtime, std::string_view text, std::string_view separator,
                                       std::int64_t limit, bool from_right) {
  if (separator.empty()) fail("empty separator");
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == text.npos) break;
    runtime.step();
    runtime.heap().charge(sizeof(std::string_view));
    if (from_right) {
      parts.push_back(text.substr(at + separator.size()));
      text = text.substr(0, at);
    } else {
      parts.push_back(text.substr(0, at));
      text = text.substr(at + separator.size());
    }
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
ATTUNE_METHOD(str_split) {
  const Bound bound("split()", arguments, {"sep", "maxsplit"}, 0);
  const std::int64_t limit = bound.integer(1, -1);
  if (!bound.has(0) || bound[0].is(Type::kNone)) {
    runtime.step(self.text().size() / 8);
    return list_like(runtime, self, split_space(self.text(), limit, from_right));
  }
  const std::string_view separator = text_argument(bound[0], "separator");
  return list_like(runtime, self, split_at(runtime, self.text(), separator, limit, from_right));
}

ATTUNE_METHOD(str_splitlines) {
  const Bound bound("splitlines()", arguments, {"keepends"}, 0);
  return list_like(runtime, self, split_lines(self.text(), bound.flag(0, false)));
}

template <bool from_right>
ATTUNE_METHOD(str_partition) {
  positional_only("partition()", arguments);
  const Bound bound("partition()", arguments, {"sep"}, 1);
  const std::string_view text = self.text(), separator = text_argument(bound[0], "separator");
  if (separator.empty()) fail("empty separator");
  const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
  std::string_view parts[3] = {text, "", ""};
  if (at == text.npos && from_right) std::swap(parts[0], parts[2]);
  if (at != text.npos) {
    parts[0] = text.substr(0, at);
    parts[1] = separator;
    parts[2] = text.substr(at + separator.size());
  }
  std::vector<Value> values;
  for (std::string_view part : parts) values.push_back(like(runtime, self, part));
  return runtime.heap().tuple(std::move(values));
}

ATTUNE_METHOD(str_join) {
  positional_only("join()", arguments);
  const Bound bound("join()", arguments, {"iterable"}, 1);
  const bool markup = self.string().markup;
  std::string out;
  bool first = true;
  Iterator* iterator = runtime.iterate(bound[0]);
  for (Value item; iterator->next(item); first = false) {
    const std::string_view text = text_argument(item, "sequence item");
    runtime.heap().charge(text.size() + self.text().size());
    if (!first) out += self.text();
    if (markup && !item.string().markup)
      out += escape_html(text);
    else
      out += text;
  }
  return like(runtime, self, out);
}

// -- Search and replace

// The part of the text that the optional start and end arguments (from argument `first` on) select; nullopt when the
// start lies beyond the end, where not even "" is found. `offset`: code points before the part.
std::optional<std::string_view> selected(Runtime& runtime, const Value& self, const Bound& bound, std::size_t first,
                                         std::int64_t& offset) {
  const auto size = static_cast<std::int64_t>(self.string().length);
  const auto position = [&](std::size_t i, std::int64_t fallback) {
    std::int64_t at = bound.has(i) && !bound[i].is(Type::kNone) ? bound.integer(i, fallback) : fallback;
    if (at < 0) at = std::max<std::int64_t>(0, at + size);
    return at;
  };
  const std::int64_t start = position(first, 0), end = std::min(position(first + 1, size), size);
  offset = start;
  if (start > end) return std::nullopt;
  if (start == 0 && end == size) return self.text();
  const Value part = runtime.slice(self, Value::of(start), Value::of(end), Value());
  return part.text();
}

enum class Search { kFind, kRightFind, kIndex, kRightIndex, kCount };

template <Search search>
ATTUNE_METHOD(str_search) {
  positional_only("find()", arguments);
  const Bound bound("find()", arguments, {"sub", "start", "end"}, 1);
  const std::string_view sought = text_argument(bound[0], "argument");
  std::int64_t offset = 0;
  const auto part = selected(runtime, self, bound, 1, offset);
  runtime.step(self.text().size() / 64);
  if constexpr (search == Search::kCount) {
    if (!part) return Value::of(std::int64_t{0});
    if (sought.empty()) return Value::of(static_cast<std::int64_t>(count_code_points(*part)) + 1);
    std::int64_t count = 0;
    for (std::size_t at = part->find(sought); at != part->npos; at = part->find(sought, at + sought.size())) ++count;
    return Value::of(count);
  }
  const bool right = search == Search::kRightFind || search == Search::kRightIndex;
  const std::size_t at = !part ? std::string_view::npos : right ? part->rfind(sought) : part->find(sought);
  if (at == std::string_view::npos) {
    if (search == Search::kIndex || search == Search::kRightIndex) fail("substring not found");
    return Value::of(std::int64_t{-1});
  }
  return Value::of(offset + static_cast<std::int64_t>(count_code_points(part->substr(0, at))));
}

template <bool at_end>
ATTUNE_METHOD(str_has_affix) {
  positional_only("startswith()", arguments);
  const Bound bound("startswith()", arguments, {"prefix", "start", "end"}, 1);
  std::int64_t offset = 0;
  const auto part = selected(runtime, self, bound, 1, offset);
  const auto matches = [&](const Value& affix) {
    const std::string_view text = text_argument(affix, "startswith first arg");
    return part && (at_end ? part->ends_with(text) : part->starts_with(text));
  };
  if (!bound[0].is(Type::kTuple)) return Value::of(matches(bound[0]));
  const auto items = bound[0].sequence().items();
  return Value::of(std::any_of(items.begin(), items.end(), matches));
}

template <bool at_end>
ATTUNE_METHOD(str_remove_affix) {
  positional_only("removeprefix()", arguments);
  const Bound bound("removeprefix()", arguments, {"prefix"}, 1);
  std::string_view text = self.text();
  const std::string_view affix = text_argument(bound[0], "argument");
  if (at_end && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!at_end && text.starts_with(affix)) text.remove_prefix(affix.size());
  return like(runtime, self, text);
}

ATTUNE_METHOD(str_replace) {
  positional_only("replace()", arguments);
  const Bound bound("replace()", arguments, {"old", "new", "count"}, 2);
  const std::string_view text = self.text(), old = text_argument(bound[0], "replace() argument 1");
  std::string fresh(text_argument(bound[1], "replace() argument 2"));
  if (self.string().markup && !bound[1].string().markup) fresh = escape_html(fresh);
  const std::int64_t count = bound.integer(2, -1);
  std::string out;
  std::size_t at = 0;
  for (std::int64_t done = 0; count < 0 || done < count; ++done) {
    runtime.step();
    runtime.heap().charge(fresh.size());
    if (old.empty()) {  // between all characters
      out += fresh;
      if (at >= text.size()) return like(runtime, self, out);
      const std::size_t next = decode_utf8(text, at).next;
      out += text.substr(at, next - at);
      at = next;
      continue;
    }
    const std::size_t found = text.find(old, at);
    if (found == text.npos) break;
    out += text.substr(at, found - at);
    out += fresh;
    at = found + old.size();
  }
  return like(runtime, self, out += text.substr(at));
}

// -- Padding

template <int side>  // 0: left-justified, 1: centred, 2: right-justified
ATTUNE_METHOD(str_justify) {
  positional_only("center()", arguments);
  const Bound bound("center()", arguments, {"width", "fillchar"}, 1);
  const std::string fill = bound.has(1) ? std::string(text_argument(bound[1], "fillchar")) : " ";
  if (count_code_points(fill) != 1) fail("The fill character must be exactly one character long");
  const std::int64_t width = bound.integer(0, 0), length = static_cast<std::int64_t>(self.string().length);
  if (width <= length) return self;
  const std::int64_t padding = width - length;
  runtime.heap().charge(static_cast<std::size_t>(padding));  // on its own first: the product may overflow
  runtime.heap().charge(static_cast<std::size_t>(padding) * fill.size());
  const std::int64_t left = side == 0 ? 0 : side == 2 ? padding : padding / 2 + (padding & width & 1);
  std::string out;
  for (std::int64_t i = 0; i < left; ++i) out += fill;
  out += self.text();
  for (std::int64_t i = left; i < padding; ++i) out += fill;
  return like(runtime, self, out);
}

ATTUNE_METHOD(str_zfill) {
  positional_only("zfill()", arguments);
  const Bound bound("zfill()", arguments, {"width"}, 1);
  const std::int64_t missing = bound.integer(0, 0) - static_cast<std::int64_t>(self.string().length);
  if (missing <= 0) return self;
  runtime.heap().charge(static_cast<std::size_t>(missing));
  std::string text(self.text());
  const bool sign = text.starts_with('+') || text.starts_with('-');
  text.insert(sign ? 1 : 0, static_cast<std::size_t>(missing), '0');
  return like(runtime, self, text);
}

ATTUNE_METHOD(str_format) { return like(runtime, self, format_braces(runtime, self.text(), arguments)); }

ATTUNE_METHOD(str_format_map) {
  positional_only("format_map()", arguments);
  const Bound bound("format_map()", arguments, {"mapping"}, 1);
  if (!bound[0].is(Type::kDict)) fail("format_map() expects a mapping");
  Arguments named;
  for (const auto& [key, value] : bound[0].dict().entries) {
    if (key.is(Type::kString)) named.named.emplace_back(key.text(), value);
  }
  return like(runtime, self, format_braces(runtime, self.text(), named));
}

// -- list, tuple, range

ATTUNE_METHOD(sequence_count) {
  positional_only("count()", arguments);
  const Bound bound("count()", arguments, {"value"}, 1);
  std::int64_t count = 0;
  Iterator* iterator = runtime.iterate(self);
  for (Value item; iterator->next(item);) count += runtime.equal(item, bound[0]);
  return Value::of(count);
}

ATTUNE_METHOD(sequence_index) {
  positional_only("index()", arguments);
  const Bound bound("index()", arguments, {"value", "start", "stop"}, 1);
  const std::int64_t size = *length_of(self);
  const auto from_end = [&](std::int64_t i) { return i < 0 ? std::max<std::int64_t>(0, i + size) : i; };
  const std::int64_t start = from_end(bound.integer(1, 0)), stop = std::min(size, from_end(bound.integer(2, size)));
  for (std::int64_t i = start; i < stop; ++i) {
    if (runtime.equal(runtime.get_item(self, Value::of(i)), bound[0])) return Value::of(i);
  }
  fail("the value is not in the sequence");
}

ATTUNE_METHOD(list_copy) {
  const Bound bound("copy()", arguments, {}, 0);
  return runtime.heap().list(runtime.to_vector(self));
}

// -- dict

template <View::Kind kind>
ATTUNE_METHOD(dict_view) {
  const Bound bound("this method", arguments, {}, 0);
  auto* view = runtime.heap().make<View>();
  view->kind = kind;
  view->dict = self;
  return {Type::kView, view};
}

ATTUNE_METHOD(dict_get) {
  positional_only("get()", arguments);
  const Bound bound("get()", arguments, {"key", "default"}, 1);
  runtime.step(weight(bound[0]));
  static_cast<void>(hash_value(bound[0]));  // an unhashable key is an error
  if (const Value* found = self.dict().find(bound[0])) return *found;
  return bound.has(1) ? bound[1] : Value::none();
}

ATTUNE_METHOD(dict_copy) {
  const Bound bound("copy()", arguments, {}, 0);
  return self;  // nothing can tell the copy from the original
}

// -- numbers

ATTUNE_METHOD(float_is_integer) {
  const Bound bound("is_integer()", arguments, {}, 0);
  return Value::of(std::isfinite(self.real) && self.real == std::floor(self.real));
}

ATTUNE_METHOD(int_bit_length) {
  const Bound bound("bit_length()", arguments, {}, 0);
  std::int64_t bits = 0;
  const auto value = static_cast<std::uint64_t>(self.as_integer());
  for (auto rest = self.as_integer() < 0 ? -value : value; rest != 0; rest >>= 1) ++bits;
  return Value::of(bits);
}

struct Row {
  std::string_view name;
  MethodFunction function;
};

constexpr Row kStringMethods[] = {
    {"capitalize", convert_case<to_capitalized>},
    {"center", str_justify<1>},
    {"count", str_search<Search::kCount>},
    {"endswith", str_has_affix<true>},
    {"find", str_search<Search::kFind>},
    {"format", str_format},
    {"format_map", str_format_map},
    {"index", str_search<Search::kIndex>},
    {"isalnum", all_characters<is_alphanumeric>},
    {"isalpha", all_characters<is_alpha>},
    {"isascii", str_isascii},
    {"isdecimal", all_characters<is_decimal>},
    {"isdigit", all_characters<is_digit>},
    {"isidentifier", str_isidentifier},
    {"islower", str_is_case<false>},
    {"isnumeric", all_characters<is_digit>},
    {"isprintable", str_isprintable},
    {"isspace", all_characters<is_space>},
    {"istitle", str_istitle},
    {"isupper", str_is_case<true>},
    {"join", str_join},
    {"ljust", str_justify<0>},
    {"lower", convert_case<to_lower>},
    {"lstrip", str_strip<kLeft>},
    {"partition", str_partition<false>},
    {"removeprefix", str_remove_affix<false>},
    {"removesuffix", str_remove_affix<true>},
    {"replace", str_replace},
    {"rfind", str_search<Search::kRightFind>},
    {"rindex", str_search<Search::kRightIndex>},
    {"rjust", str_justify<2>},
    {"rpartition", str_partition<true>},
    {"rsplit", str_split<true>},
    {"rstrip", str_strip<kRight>},
    {"split", str_split<false>},
    {"splitlines", str_splitlines},
    {"startswith", str_has_affix<false>},
    {"strip", str_strip<kBoth>},
    {"swapcase", convert_case<swap_case>},
    {"title", convert_case<to_title>},
    {"upper", convert_case<to_upper>},
    {"zfill", str_zfill},
};
constexpr Row kListMethods[] = {{"copy", list_copy}, {"count", sequence_count}, {"index", sequence_index}};
constexpr Row kTupleMethods[] = {{"count", sequence_count}, {"index", sequence_index}};
constexpr Row kDictMethods[] = {{"copy", dict_copy},
                                {"get", dict_get},
                                {"items", dict_view<View::kItems>},
                                {"keys", dict_view<View::kKeys>},
                                {"values", dict_view<View::kValues>}};
constexpr Row kFloatMethods[] = {{"is_integer", float_is_integer}};
constexpr Row kIntMethods[] = {{"bit_length", int_bit_length}};

std::span<const Row> methods_of(Type type) {
  switch (type) {
    case Type::kString:
      return kStringMethods;
    case Type::kList:
      return kListMethods;
    case Type::kTuple:
    case Type::kRange:
      return kTupleMethods;
    case Type::kDict:
      return kDictMethods;
    case Type::kFloat:
      return kFloatMethods;
    case Type::kInt:
    case Type::kBool:
      return kIntMethods;
    default:
      return {};
  }
}

bool any_of_names(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

MethodFunction find_method(const Value& object, std::string_view name) {
  for (const Row& row : methods_of(object.type)) {
    if (row.name == name) return row.function;
  }
  return nullptr;
}

bool is_hidden_attribute(const Value& object, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear",  "extend",  "insert",
                                               "pop",    "remove", "reverse", "sort"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  static constexpr std::string_view kEverywhere[] = {
      "__class__",  "__dict__",      "__doc__",  "__init__",    "__module__", "__subclasshook__", "__getattribute__",
      "__reduce__", "__reduce_ex__", "__repr__", "__str__",     "__eq__",     "__hash__",         "__new__",
      "__sizeof__", "__format__",    "__dir__",  "__delattr__", "__setattr__"};
  if (name.starts_with("__")) return any_of_names(kEverywhere, name);
  if (object.is(Type::kList)) return any_of_names(kList, name);
  return object.is(Type::kDict) && any_of_names(kDict, name);
}

}  // namespace attune::jinja
