// Attributes, items and slices, with the sandbox's rules about what is hidden.
#include <algorithm>

#include "base/utf8.h"
#include "token/jinja/builtins.h"
#include "token/jinja/runtime.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

// Item i of a sequence-like value; missing when the type has no items or the index is outside.
Value item_at(Runtime& runtime, const Value& object, std::int64_t index) {
  const std::int64_t size = length_of(object).value_or(0);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return {};
  const auto i = static_cast<std::size_t>(index);
  switch (object.type) {
    case Type::kList:
    case Type::kTuple:
      return object.sequence().at(i);
    case Type::kRange:
      return Value::of(object.as<Range>().at(index));
    case Type::kString: {
      const Str& text = object.string();
      if (text.ascii()) return runtime.string(std::string_view(text.text).substr(i, 1), text.markup);
      runtime.step(text.text.size() / 8);
      return runtime.string(encode(std::u32string_view(decode(text.text)).substr(i, 1)), text.markup);
    }
    default:
      return {};
  }
}

// obj[key] of Python without the fallback to attributes; missing for TypeError and LookupError.
Value subscript(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is(Type::kDict)) {
    if (!is_hashable(key)) return {};
    const Value* found = runtime.find(object.dict(), key);
    return found != nullptr ? *found : Value();
  }
  return key.is_integral() ? item_at(runtime, object, key.as_integer()) : Value();
}

// getattr(obj, name) of Python; missing for AttributeError, undefined for what the sandbox hides.
Value attribute(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is(Type::kNamespace)) {
    const Value* found = object.as<Namespace>().find(name);
    if (found == nullptr) return {};
    return *found;
  }
  if (is_hidden_attribute(object, name)) {
    return runtime.heap().undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type_name(object)));
  }
  if (object.is(Type::kMacro) || object.is(Type::kLoop)) return runtime.template_object_attribute(object, name);
  if (object.is(Type::kFunction)) return {};
  const MethodFunction method = find_method(object, name);
  if (method == nullptr) return {};
  auto* function = runtime.heap().make<Function>();
  function->name = name;
  function->call = [method, object](Runtime& rt, Arguments& arguments) { return method(rt, object, arguments); };
  return {Type::kFunction, function};
}

void refuse_undefined(const Value& object) {
  if (object.is(Type::kUndefined)) fail("{}", object.as<Undefined>().reason());
}

}  // namespace

Value Runtime::get_attribute(const Value& object, const Value& name) {
  refuse_undefined(object);
  step();
  Value found = attribute(*this, object, name.text());
  if (found.missing()) found = subscript(*this, object, name);
  return found.missing() ? heap_.undefined(object, name) : found;
}

Value Runtime::get_item(const Value& object, const Value& key) {
  refuse_undefined(object);
  step();
  Value found = subscript(*this, object, key);
  if (found.missing() && key.is(Type::kString)) found = attribute(*this, object, key.text());
  return found.missing() ? heap_.undefined(object, key) : found;
}

std::optional<Value> Runtime::call_method(const Value& object, std::string_view name, Arguments& arguments) {
  if (is_hidden_attribute(object, name)) return std::nullopt;
  const MethodFunction method = find_method(object, name);
  if (method == nullptr) return std::nullopt;
  step();
  return method(*this, object, arguments);
}

Value Runtime::slice(const Value& object, const Value& start, const Value& stop, const Value& step_value) {
  refuse_undefined(object);
  if (!object.is(Type::kString) && !object.is_sequence() && !object.is(Type::kRange)) {
    fail("'{}' object cannot be sliced", type_name(object));
  }
  const auto index = [](const Value& value) -> std::optional<std::int64_t> {
    if (value.missing() || value.is(Type::kNone)) return std::nullopt;
    if (!value.is_integral()) fail("slice indices must be integers or None, not {}", type_name(value));
    return value.as_integer();
  };
  const std::int64_t step = index(step_value).value_or(1);
  if (step == 0) fail("slice step cannot be zero");
  const std::int64_t size = *length_of(object);
  // PySlice_AdjustIndices.
  const std::int64_t low = step < 0 ? -1 : 0, high = step < 0 ? size - 1 : size;
  const auto clamp = [&](std::optional<std::int64_t> value, std::int64_t fallback) {
    if (!value) return fallback;
    return *value < 0 ? std::max(*value + size, low) : std::min(*value, high);
  };
  const std::int64_t begin = clamp(index(start), step < 0 ? high : low),
                     end = clamp(index(stop), step < 0 ? low : high);
  std::int64_t count = 0;
  if (step > 0 && begin < end) count = (end - begin - 1) / step + 1;
  if (step < 0 && end < begin) count = step == INT64_MIN ? 1 : (begin - end - 1) / -step + 1;
  const auto position = [&](std::int64_t i) { return static_cast<std::size_t>(begin + i * step); };

  this->step(static_cast<std::size_t>(count));
  if (object.is(Type::kRange)) {
    const Range& source = object.as<Range>();
    auto* range = heap_.make<Range>();
    range->start = source.at(begin);
    range->stop = source.at(end);
    range->size = count;
    if (__builtin_mul_overflow(source.step, step, &range->step)) fail("an integer does not fit 64 bits");
    return {Type::kRange, range};
  }
  if (object.is(Type::kString)) {
    const Str& source = object.string();
    if (source.ascii()) {
      if (step == 1)
        return string(
            std::string_view(source.text).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
            source.markup);
      std::string text;
      for (std::int64_t i = 0; i < count; ++i) text += source.text[position(i)];
      return string(text, source.markup);
    }
    this->step(source.text.size() / 8);
    const std::u32string code_points = decode(source.text);
    std::u32string text;
    for (std::int64_t i = 0; i < count; ++i) text += code_points[position(i)];
    return string(encode(text), source.markup);
  }
  const Sequence& source = object.sequence();
  if (step == 1) {
    auto* view = heap_.make<Sequence>(source);
    view->begin += static_cast<std::size_t>(begin);
    view->size = static_cast<std::size_t>(count);
    return {object.type, view};
  }
  std::vector<Value> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(source.at(position(i)));
  return object.is(Type::kList) ? heap_.list(std::move(values)) : heap_.tuple(std::move(values));
}

}  // namespace attune::jinja
