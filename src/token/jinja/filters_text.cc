// Filters on text.
#include <algorithm>

#include "base/utf8.h"
#include "token/jinja/builtins.h"
#include "token/jinja/filters.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

// soft_str: a Markup string stays one.
Value soft_string(Runtime& runtime, const Value& value) {
  return value.is(Type::kString) ? value : runtime.string(runtime.str(value));
}

// Calls the str method `name` on the value's text.
Value method(Runtime& runtime, std::string_view name, const Value& input, Arguments arguments = {}) {
  return find_method(soft_string(runtime, input), name)(runtime, soft_string(runtime, input), arguments);
}

std::string indentation(Runtime& runtime, const Bound& bound) {
  if (bound.has(0) && bound[0].is(Type::kString)) return std::string(bound[0].text());
  const std::int64_t width = bound.integer(0, 4);
  if (width > 10000) fail("the indentation is wider than 10000");
  runtime.heap().charge(static_cast<std::size_t>(std::max<std::int64_t>(0, width)));
  return std::string(static_cast<std::size_t>(std::max<std::int64_t>(0, width)), ' ');
}

}  // namespace

ATTUNE_FILTER(capitalize) {
  const Bound bound("capitalize()", arguments, {}, 0);
  return method(runtime, "capitalize", input);
}

ATTUNE_FILTER(center) {
  const Bound bound("center()", arguments, {"width"}, 0);
  Arguments width;
  width.positional.push_back(Value::of(bound.integer(0, 80)));
  return method(runtime, "center", input, width);
}

ATTUNE_FILTER(escape) {
  const Bound bound("escape()", arguments, {}, 0);
  if (input.is(Type::kString) && input.string().markup) return input;
  return runtime.string(escape_html(runtime.str(input)), true);
}

ATTUNE_FILTER(forceescape) {
  const Bound bound("forceescape()", arguments, {}, 0);
  return runtime.string(escape_html(runtime.str(input)), true);
}

ATTUNE_FILTER(format) {
  const Value text = soft_string(runtime, input);
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    fail("can't handle positional and keyword arguments at the same time");
  }
  if (arguments.named.empty()) return runtime.modulo(text, runtime.heap().tuple(arguments.positional));
  auto* named = runtime.heap().make<Dict>();
  for (const auto& [name, value] : arguments.named) named->set(runtime.string(name), value);
  return runtime.modulo(text, {Type::kDict, named});
}

ATTUNE_FILTER(indent) {
  const Bound bound("indent()", arguments, {"width", "first", "blank"}, 0);
  if (!input.is(Type::kString)) {
    if (input.is(Type::kUndefined)) fail("{}", input.as<Undefined>().reason());
    fail("indent expects a string, got '{}'", type_name(input));
  }
  const bool markup = input.string().markup;
  const std::string indent = indentation(runtime, bound), shown = markup ? escape_html(indent) : indent;
  const bool blank = bound.flag(2, false);
  const std::string text = std::string(input.text()) + "\n";
  std::string out;
  bool first = true;
  for (std::string_view line : split_lines(text, false)) {
    runtime.heap().charge(line.size() + shown.size() + 1);
    if (!first) {
      out += '\n';
      if (blank || !line.empty()) out += shown;
    }
    out += line;
    first = false;
  }
  if (bound.flag(1, false)) out.insert(0, shown);
  return runtime.string(out, markup);
}

ATTUNE_FILTER(join) {
  const Bound bound("join()", arguments, {"d", "attribute"}, 0);
  const std::string separator = bound.has(0) ? runtime.str(bound[0]) : "";
  const AttributeGetter get(runtime, bound[1], false);
  std::string out;
  bool first = true;
  Iterator* iterator = runtime.iterate(input);
  for (Value item; iterator->next(item); first = false) {
    const Value value = get(item);
    runtime.heap().charge(separator.size() + (value.is(Type::kString) ? value.text().size() : 0));
    if (!first) out += separator;
    if (value.is(Type::kString))
      out += value.text();
    else
      out += runtime.str(value);
  }
  return runtime.string(out);
}

ATTUNE_FILTER(lower) {
  const Bound bound("lower()", arguments, {}, 0);
  return method(runtime, "lower", input);
}

ATTUNE_FILTER(replace) {
  const Bound bound("replace()", arguments, {"old", "new", "count"}, 2);
  Arguments parts;
  parts.positional = {runtime.string(runtime.str(bound[0])), runtime.string(runtime.str(bound[1]))};
  const bool limited = bound.has(2) && !bound[2].is(Type::kNone);
  parts.positional.push_back(Value::of(limited ? bound.integer(2, -1) : std::int64_t{-1}));
  return method(runtime, "replace", runtime.string(runtime.str(input)), parts);
}

ATTUNE_FILTER(safe) {
  const Bound bound("safe()", arguments, {}, 0);
  return runtime.string(runtime.str(input), true);
}

ATTUNE_FILTER(string) {
  const Bound bound("string()", arguments, {}, 0);
  return soft_string(runtime, input);
}

ATTUNE_FILTER(title) {
  const Bound bound("title()", arguments, {}, 0);
  // A word begins after white space or one of -({[<, unlike in str.title.
  const std::u32string text = decode(runtime.str(input));
  std::string out;
  std::u32string word;
  const auto flush = [&] {
    if (word.empty()) return;
    out += to_upper(encode(word.substr(0, 1))) + to_lower(encode(word.substr(1)));
    word.clear();
  };
  for (char32_t c : text) {
    const bool separator = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separator) {
      flush();
      append_utf8(out, c);
    } else {
      word += c;
    }
  }
  flush();
  return runtime.string(out);
}

// Hugging Face's tojson: json.dumps without jinja2's HTML escapes.
ATTUNE_FILTER(tojson) {
  const Bound bound("tojson()", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  JsonStyle style;
  style.ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  if (bound.has(1) && !bound[1].is(Type::kNone)) {
    style.indent = bound[1].is(Type::kString) ? std::string(bound[1].text())
                                              : indentation(runtime, Bound("tojson()", {{bound[1]}, {}}, {"width"}, 1));
    style.item_separator.assign(1, ',');
  }
  if (bound.has(2) && !bound[2].is(Type::kNone)) {
    const std::vector<Value> separators = runtime.to_vector(bound[2]);
    if (separators.size() != 2 || !separators[0].is(Type::kString) || !separators[1].is(Type::kString)) {
      fail("separators must be two strings");
    }
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  return runtime.string(to_json(runtime, input, style));
}

ATTUNE_FILTER(trim) {
  const Bound bound("trim()", arguments, {"chars"}, 0);
  Arguments characters;
  if (bound.has(0)) characters.positional.push_back(bound[0]);
  return method(runtime, "strip", input, characters);
}

ATTUNE_FILTER(truncate) {
  const Bound bound("truncate()", arguments, {"length", "killwords", "end", "leeway"}, 0);
  const std::int64_t length = bound.integer(0, 255);
  const Value end = bound.has(2) ? bound[2] : runtime.string("...");
  const std::int64_t leeway = bound.has(3) && !bound[3].is(Type::kNone) ? bound.integer(3, 5) : 5;
  if (!end.is(Type::kString)) fail("truncate expects a string as end");
  const auto end_length = static_cast<std::int64_t>(end.string().length);
  if (length < end_length) fail("expected length >= {}, got {}", end_length, length);
  if (leeway < 0) fail("expected leeway >= 0, got {}", leeway);
  if (length_of(input) && *length_of(input) - leeway <= length) return input;
  if (!input.is(Type::kString)) fail("truncate expects a string");
  Value cut = runtime.slice(input, Value(), Value::of(length - end_length), Value());
  if (!bound.flag(1, false)) {
    const std::size_t space = cut.text().rfind(' ');
    if (space != std::string_view::npos) cut = runtime.string(cut.text().substr(0, space), cut.string().markup);
  }
  return runtime.add(cut, end);
}

ATTUNE_FILTER(upper) {
  const Bound bound("upper()", arguments, {}, 0);
  return method(runtime, "upper", input);
}

ATTUNE_FILTER(wordcount) {
  const Bound bound("wordcount()", arguments, {}, 0);
  std::int64_t words = 0;
  bool in_word = false;
  for (char32_t c : decode(runtime.str(input))) {
    const bool part = is_alpha(c) || is_digit(c) || c == '_';
    words += part && !in_word;
    in_word = part;
  }
  return Value::of(words);
}

}  // namespace attune::jinja
