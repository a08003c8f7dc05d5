// Filters on sequences and mappings.
#include <algorithm>

#include "token/jinja/builtins.h"
#include "token/jinja/filters.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

// Stable, as sorted(); `reverse` keeps equal items in their order.
void sort_by(Runtime& runtime, std::vector<Value>& values, bool reverse,
             const std::function<Value(const Value&)>& key_of) {
  std::vector<std::pair<Value, Value>> keyed;
  keyed.reserve(values.size());
  runtime.heap().charge(2 * values.size() * sizeof(Value));
  for (const Value& value : values) keyed.emplace_back(key_of(value), value);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return (reverse ? runtime.compared(b.first, a.first) : runtime.compared(a.first, b.first)) == -1;
  });
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = keyed[i].second;
}

// jinja2's min and max; equal values: the first one wins.
Value extreme(Runtime& runtime, const Value& input, const Arguments& arguments, bool largest) {
  const Bound bound(largest ? "max()" : "min()", arguments, {"case_sensitive", "attribute"}, 0);
  const AttributeGetter get(runtime, bound[1], !bound.flag(0, false));
  Iterator* iterator = runtime.iterate(input);
  Value best;
  if (!iterator->next(best)) return runtime.heap().undefined("No aggregated item, sequence was empty.");
  Value best_key = get(best);
  for (Value item; iterator->next(item);) {
    const Value key = get(item);
    if (runtime.compared(key, best_key) != (largest ? 1 : -1)) continue;
    best = item;
    best_key = key;
  }
  return best;
}

Value select(Runtime& runtime, const Value& input, Arguments& arguments, bool keep, bool by_attribute) {
  if (!truth(input)) return runtime.iterator([](Value&) { return false; });
  std::vector<Value>& given = arguments.positional;
  if (by_attribute && given.empty()) fail("Missing parameter for attribute name");
  const AttributeGetter get(runtime, by_attribute ? given[0] : Value(), false);
  if (by_attribute) given.erase(given.begin());
  TestFunction test = nullptr;
  if (!given.empty()) {
    const std::string name = runtime.str(given[0]);
    test = find_test(name);
    if (test == nullptr) fail("No test named '{}'.", name);
    given.erase(given.begin());
  }
  Iterator* source = runtime.iterate(input);
  return runtime.iterator([&runtime, get, test, source, rest = arguments, keep](Value& out) mutable {
    while (source->next(out)) {
      runtime.step();
      Arguments copy = rest;
      const Value value = get(out);
      if ((test != nullptr ? test(runtime, value, copy) : truth(value)) == keep) return true;
    }
    return false;
  });
}

Value mapped(Runtime& runtime, const Value& input, Arguments& arguments) {
  Iterator* source = runtime.iterate(input);
  if (arguments.positional.empty()) {
    Value attribute, fallback;
    for (const auto& [name, value] : arguments.named) {
      if (name == "attribute")
        attribute = value;
      else if (name == "default")
        fallback = value;
      else
        fail("Unexpected keyword argument '{}'", name);
    }
    if (attribute.missing()) fail("map requires a filter argument");
    const AttributeGetter get(runtime, attribute, false, fallback);
    return runtime.iterator([get, source](Value& out) {
      if (!source->next(out)) return false;
      out = get(out);
      return true;
    });
  }
  const std::string name = runtime.str(arguments.positional[0]);
  const FilterFunction filter = find_filter(name);
  if (filter == nullptr) fail("No filter named '{}'.", name);
  arguments.positional.erase(arguments.positional.begin());
  return runtime.iterator([&runtime, filter, source, rest = arguments](Value& out) {
    if (!source->next(out)) return false;
    Arguments copy = rest;
    out = filter(runtime, out, copy);
    return true;
  });
}

}  // namespace

ATTUNE_FILTER(attr) {
  const Bound bound("attr()", arguments, {"name"}, 1);
  if (!bound[0].is(Type::kString)) fail("attribute name must be string");
  if (input.is(Type::kUndefined)) fail("{}", input.as<Undefined>().reason());
  // Unlike ".", attr() does not fall back to items.
  const Value found = input.is(Type::kDict) && find_method(input, bound[0].text()) == nullptr &&
                              !is_hidden_attribute(input, bound[0].text())
                          ? Value()
                          : runtime.get_attribute(input, bound[0]);
  return found.missing() ? runtime.heap().undefined(input, bound[0]) : found;
}

ATTUNE_FILTER(batch) {
  const Bound bound("batch()", arguments, {"linecount", "fill_with"}, 1);
  const Value fill = bound.has(1) ? bound[1] : Value::none();
  const Value count = bound[0];
  Iterator* source = runtime.iterate(input);
  auto pending = std::make_shared<std::vector<Value>>();
  return runtime.iterator([&runtime, source, count, fill, pending](Value& out) {
    for (Value item; source->next(item);) {
      const bool full = runtime.equal(Value::of(static_cast<std::int64_t>(pending->size())), count);
      if (full) {
        out = runtime.heap().list(std::move(*pending));
        pending->assign(1, item);
        return true;
      }
      runtime.heap().charge(sizeof(Value));
      pending->push_back(item);
    }
    if (pending->empty()) return false;
    if (!fill.is(Type::kNone)) {
      if (!count.is_number()) fail("batch() expects a number");
      while (static_cast<double>(pending->size()) < count.as_real()) {
        runtime.heap().charge(sizeof(Value));
        pending->push_back(fill);
      }
    }
    out = runtime.heap().list(std::move(*pending));
    pending->clear();
    return true;
  });
}

ATTUNE_FILTER(default) {
  const Bound bound("default()", arguments, {"default_value", "boolean"}, 0);
  if (!input.is(Type::kUndefined) && !(bound.flag(1, false) && !truth(input))) return input;
  return bound.has(0) ? bound[0] : runtime.string("");
}

ATTUNE_FILTER(dictsort) {
  const Bound bound("dictsort()", arguments, {"case_sensitive", "by", "reverse"}, 0);
  const std::string by = bound.has(1) ? runtime.str(bound[1]) : "key";
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  if (input.is(Type::kUndefined)) fail("{}", input.as<Undefined>().reason());
  if (!input.is(Type::kDict)) fail("'{}' object has no attribute 'items'", type_name(input));
  std::vector<Value> pairs;
  for (const auto& [key, value] : input.dict().entries) pairs.push_back(runtime.heap().tuple({key, value}));
  const AttributeGetter fold(runtime, Value(), !bound.flag(0, false));
  sort_by(runtime, pairs, bound.flag(2, false),
          [&](const Value& pair) { return fold(pair.sequence().at(by == "key" ? 0 : 1)); });
  return runtime.heap().list(std::move(pairs));
}

ATTUNE_FILTER(first) {
  const Bound bound("first()", arguments, {}, 0);
  Value item;
  return runtime.iterate(input)->next(item) ? item : runtime.heap().undefined("No first item, sequence was empty.");
}

ATTUNE_FILTER(groupby) {
  const Bound bound("groupby()", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const AttributeGetter key_of(runtime, bound[0], !bound.flag(2, false), bound[1]);
  const AttributeGetter shown(runtime, bound[0], false, bound[1]);
  std::vector<Value> values = runtime.to_vector(input);
  sort_by(runtime, values, false, [&](const Value& value) { return key_of(value); });
  std::vector<Value> groups;
  for (std::size_t begin = 0, end = 0; begin < values.size(); begin = end) {
    const Value key = key_of(values[begin]);
    while (end < values.size() && runtime.equal(key_of(values[end]), key)) ++end;
    end = std::max(end, begin + 1);
    const auto at = [&](std::size_t i) { return values.begin() + static_cast<std::ptrdiff_t>(i); };
    groups.push_back(runtime.heap().tuple({shown(values[begin]), runtime.heap().list({at(begin), at(end)})}));
  }
  return runtime.heap().list(std::move(groups));
}

ATTUNE_FILTER(items) {
  const Bound bound("items()", arguments, {}, 0);
  if (input.is(Type::kUndefined)) return runtime.iterator([](Value&) { return false; });
  if (!input.is(Type::kDict)) fail("Can only get item pairs from a mapping.");
  Arguments none;
  Iterator* source = runtime.iterate(find_method(input, "items")(runtime, input, none));
  return runtime.iterator([source](Value& out) { return source->next(out); });
}

ATTUNE_FILTER(last) {
  const Bound bound("last()", arguments, {}, 0);
  if (input.is(Type::kString) || input.is_sequence() || input.is(Type::kRange)) {
    if (*length_of(input) == 0) return runtime.heap().undefined("No last item, sequence was empty.");
    return runtime.get_item(input, Value::of(std::int64_t{-1}));
  }
  if (!length_of(input)) fail("'{}' object is not reversible", type_name(input));
  const std::vector<Value> values = runtime.to_vector(input);
  return values.empty() ? runtime.heap().undefined("No last item, sequence was empty.") : values.back();
}

ATTUNE_FILTER(length) {
  const Bound bound("length()", arguments, {}, 0);
  if (input.is(Type::kLoop)) return runtime.template_object_attribute(input, "length");
  const auto length = length_of(input);
  if (!length) fail("object of type '{}' has no len()", type_name(input));
  return Value::of(*length);
}

ATTUNE_FILTER(list) {
  const Bound bound("list()", arguments, {}, 0);
  return runtime.heap().list(runtime.to_vector(input));
}

ATTUNE_FILTER(map) {
  return truth(input) ? mapped(runtime, input, arguments) : runtime.iterator([](Value&) { return false; });
}
ATTUNE_FILTER(max) { return extreme(runtime, input, arguments, true); }
ATTUNE_FILTER(min) { return extreme(runtime, input, arguments, false); }
ATTUNE_FILTER(reject) { return select(runtime, input, arguments, false, false); }
ATTUNE_FILTER(rejectattr) { return select(runtime, input, arguments, false, true); }
ATTUNE_FILTER(select) { return select(runtime, input, arguments, true, false); }
ATTUNE_FILTER(selectattr) { return select(runtime, input, arguments, true, true); }

ATTUNE_FILTER(reverse) {
  const Bound bound("reverse()", arguments, {}, 0);
  if (input.is(Type::kString)) {
    return runtime.slice(input, Value(), Value(), Value::of(std::int64_t{-1}));
  }
  std::vector<Value> values = runtime.to_vector(input);
  std::reverse(values.begin(), values.end());
  if (!length_of(input)) return runtime.heap().list(std::move(values));  // a generator becomes a list
  Iterator* source = runtime.iterate(runtime.heap().list(std::move(values)));
  return runtime.iterator([source](Value& out) { return source->next(out); });
}

ATTUNE_FILTER(slice) {
  const Bound bound("slice()", arguments, {"slices", "fill_with"}, 1);
  const std::vector<Value> values = runtime.to_vector(input);
  const std::int64_t slices = bound.integer(0, 0), count = static_cast<std::int64_t>(values.size());
  if (slices == 0) fail("integer division or modulo by zero");
  const Value fill = bound.has(1) ? bound[1] : Value::none();
  std::vector<Value> out;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < slices; ++i) {
    runtime.step();
    const bool extra = i < count % slices;
    const std::int64_t end = begin + count / slices + extra;
    std::vector<Value> part(values.begin() + begin, values.begin() + end);
    if (!fill.is(Type::kNone) && !extra) part.push_back(fill);
    out.push_back(runtime.heap().list(std::move(part)));
    begin = end;
  }
  Iterator* source = runtime.iterate(runtime.heap().list(std::move(out)));
  return runtime.iterator([source](Value& item) { return source->next(item); });
}

ATTUNE_FILTER(sort) {
  const Bound bound("sort()", arguments, {"reverse", "case_sensitive", "attribute"}, 0);
  const bool ignore_case = !bound.flag(1, false);
  std::vector<AttributeGetter> getters;
  if (bound.has(2) && bound[2].is(Type::kString)) {
    std::string_view rest = bound[2].text();
    while (true) {
      const std::size_t comma = rest.find(',');
      getters.emplace_back(runtime, runtime.string(rest.substr(0, comma)), ignore_case);
      if (comma == rest.npos) break;
      rest = rest.substr(comma + 1);
    }
  } else {
    getters.emplace_back(runtime, bound[2], ignore_case);
  }
  std::vector<Value> values = runtime.to_vector(input);
  sort_by(runtime, values, bound.flag(0, false), [&](const Value& value) {
    std::vector<Value> keys;
    for (const AttributeGetter& get : getters) keys.push_back(get(value));
    return runtime.heap().list(std::move(keys));
  });
  return runtime.heap().list(std::move(values));
}

ATTUNE_FILTER(unique) {
  const Bound bound("unique()", arguments, {"case_sensitive", "attribute"}, 0);
  const AttributeGetter get(runtime, bound[1], !bound.flag(0, false));
  Iterator* source = runtime.iterate(input);
  auto* seen = runtime.heap().make<Dict>();
  return runtime.iterator([&runtime, get, source, seen](Value& out) {
    while (source->next(out)) {
      const Value key = get(out);
      runtime.step(weight(key));
      static_cast<void>(hash_value(key));  // unhashable keys are an error
      if (seen->find(key) != nullptr) continue;
      runtime.set(*seen, key, Value::none());
      return true;
    }
    return false;
  });
}

}  // namespace attune::jinja
