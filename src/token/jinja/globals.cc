// The names every template can use.
#include <algorithm>
#include <cstdlib>

#include "token/jinja/builtins.h"
#include "token/jinja/runtime.h"

namespace attune::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100000;  // as jinja2's sandbox

Value make_function(Runtime& runtime, std::string_view name, std::function<Value(Runtime&, Arguments&)> call) {
  auto* function = runtime.heap().make<Function>();
  function->name = name;
  function->call = std::move(call);
  return {Type::kFunction, function};
}

Value make_range(Runtime& runtime, Arguments& arguments) {
  if (!arguments.named.empty()) fail("range() takes no keyword arguments");
  const Bound bound("range()", arguments, {"start", "stop", "step"}, 1);
  const bool single = !bound.has(1);
  const std::int64_t start = single ? 0 : bound.integer(0, 0), stop = bound.integer(single ? 0 : 1, 0);
  const std::int64_t step = bound.integer(2, 1);
  if (step == 0) fail("range() arg 3 must not be zero");
  const auto distance =
      static_cast<unsigned __int128>(step > 0 ? std::max<__int128>(0, static_cast<__int128>(stop) - start)
                                              : std::max<__int128>(0, static_cast<__int128>(start) - stop));
  const auto stride =
      static_cast<unsigned __int128>(step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step));
  const unsigned __int128 size = (distance + stride - 1) / stride;
  if (size > kMaxRange) {
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange);
  }
  auto* range = runtime.heap().make<Range>();
  range->start = start;
  range->stop = stop;
  range->step = step;
  range->size = static_cast<std::int64_t>(size);
  return {Type::kRange, range};
}

// dict(mapping or pairs, **named): also what namespace() takes.
Dict* make_entries(Runtime& runtime, Arguments& arguments) {
  auto* dict = runtime.heap().make<Dict>();
  if (arguments.positional.size() > 1) fail("dict expected at most 1 argument, got {}", arguments.positional.size());
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Type::kDict)) {
      for (const auto& [key, value] : source.dict().entries) runtime.set(*dict, key, value);
    } else {
      Iterator* iterator = runtime.iterate(source);
      for (Value item; iterator->next(item);) {
        const std::vector<Value> pair = runtime.to_vector(item);
        if (pair.size() != 2) fail("dictionary update sequence element has length {}; 2 is required", pair.size());
        runtime.set(*dict, pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict->set(runtime.string(name), value);
  return dict;
}

Value make_namespace(Runtime& runtime, Arguments& arguments) {
  const Dict* entries = make_entries(runtime, arguments);
  auto* object = runtime.heap().make<Namespace>();
  for (const auto& [key, value] : entries->entries) {
    if (!key.is(Type::kString)) fail("namespace() takes names, not '{}'", type_name(key));
    if (key.text().starts_with('_')) {
      fail("chat templates cannot store the underscore-prefixed attribute '{}'", key.text());
    }
    object->attributes.emplace_back(key.text(), value);
  }
  return {Type::kNamespace, object};
}

// cycler(items): an object with next(), reset() and current.
Value make_cycler(Runtime& runtime, Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty()) fail("at least one item has to be provided");
  auto* object = runtime.heap().make<Namespace>();
  const auto items = std::make_shared<std::vector<Value>>(arguments.positional);
  const auto position = std::make_shared<std::size_t>(0);
  object->attributes.emplace_back("current", items->front());
  const auto move_to = [object, items, position](std::size_t next) {
    *position = next % items->size();
    *object->find("current") = (*items)[*position];
  };
  object->attributes.emplace_back(
      "next", make_function(runtime, "next", [items, position, move_to](Runtime&, Arguments& given) {
        const Bound bound("next()", given, {}, 0);
        const Value current = (*items)[*position];
        move_to(*position + 1);
        return current;
      }));
  object->attributes.emplace_back("reset", make_function(runtime, "reset", [move_to](Runtime&, Arguments& given) {
                                    const Bound bound("reset()", given, {}, 0);
                                    move_to(0);
                                    return Value::none();
                                  }));
  return {Type::kNamespace, object};
}

Value make_joiner(Runtime& runtime, Arguments& arguments) {
  const Bound bound("joiner()", arguments, {"sep"}, 0);
  const Value separator = bound.has(0) ? bound[0] : runtime.string(", ");
  const Value nothing = runtime.string("");
  return make_function(runtime, "joiner", [separator, nothing, used = false](Runtime&, Arguments& given) mutable {
    const Bound none("joiner()", given, {}, 0);
    return std::exchange(used, true) ? separator : nothing;
  });
}

Value raise_exception(Runtime& runtime, Arguments& arguments) {
  const Bound bound("raise_exception()", arguments, {"message"}, 1);
  throw TemplateError(runtime.str(bound[0]));
}

Value strftime_now(Runtime& runtime, Arguments& arguments) {
  const Bound bound("strftime_now()", arguments, {"format"}, 1);
  if (!bound[0].is(Type::kString)) fail("strftime() argument 1 must be str, not {}", type_name(bound[0]));
  const std::string_view format = bound[0].text();
  if (format.size() > 1000) fail("the format of strftime_now() is longer than 1000 bytes");
  const std::tm now = runtime.now();
  // Piece by piece: strftime() of C has no other way to tell an empty result from a full buffer. A width in the
  // format could ask for any amount of output, so only plain conversions (with one flag) pass.
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    std::string piece = "%";
    ++i;
    if (std::string_view("-_0^#EO").find(format[i]) != std::string_view::npos && i + 1 < format.size())
      piece += format[i++];
    const char conversion = format[i];
    if (conversion >= '0' && conversion <= '9') fail("strftime_now() does not take widths");
    if (conversion == 'f') out += "000000";
    if (conversion == 'f' || conversion == 'z' || conversion == 'Z') continue;  // a naive datetime has no zone
    piece += conversion;
    char text[256];
    out.append(text, std::strftime(text, sizeof text, piece.c_str(), &now));
  }
  return runtime.string(out);
}

Value make_dict(Runtime& runtime, Arguments& arguments) { return {Type::kDict, make_entries(runtime, arguments)}; }

}  // namespace

Value find_global(Runtime& runtime, std::string_view name) {
  if (name == "range") return make_function(runtime, name, make_range);
  if (name == "dict") return make_function(runtime, name, make_dict);
  if (name == "namespace") return make_function(runtime, name, make_namespace);
  if (name == "cycler") return make_function(runtime, name, make_cycler);
  if (name == "joiner") return make_function(runtime, name, make_joiner);
  if (name == "raise_exception") return make_function(runtime, name, raise_exception);
  if (name == "strftime_now") return make_function(runtime, name, strftime_now);
  return {};
}

}  // namespace attune::jinja
