// Python's operators on template values.
#include <algorithm>
#include <cmath>

#include "token/jinja/runtime.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

[[noreturn]] void refuse(std::string_view symbol, const Value& a, const Value& b) {
  if (a.is(Type::kUndefined)) fail("{}", a.as<Undefined>().reason());
  if (b.is(Type::kUndefined)) fail("{}", b.as<Undefined>().reason());
  fail("unsupported operand types for {}: '{}' and '{}'", symbol, type_name(a), type_name(b));
}

[[noreturn]] void overflow() { fail("an integer does not fit 64 bits"); }

bool both_integral(const Value& a, const Value& b) { return a.is_integral() && b.is_integral(); }
bool both_numbers(const Value& a, const Value& b) { return a.is_number() && b.is_number(); }

std::string text_for(const Value& value, bool escaped) {
  return escaped && !value.string().markup ? escape_html(value.text()) : std::string(value.text());
}

std::int64_t integer_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

}  // namespace

Value Runtime::add(const Value& a, const Value& b) {
  if (both_integral(a, b)) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.as_integer(), b.as_integer(), &sum)) overflow();
    return Value::of(sum);
  }
  if (both_numbers(a, b)) return Value::of(a.as_real() + b.as_real());
  if (a.is(Type::kString) && b.is(Type::kString)) {
    const bool markup = a.string().markup || b.string().markup;
    return string(text_for(a, markup) + text_for(b, markup), markup);
  }
  if (!a.is_sequence() || a.type != b.type) refuse("+", a, b);
  const Sequence &left = a.sequence(), &right = b.sequence();
  step(right.size);
  if (left.buffer->growable && left.begin + left.size == left.buffer->values.size()) {
    heap_.charge(right.size * sizeof(Value));
    auto& values = left.buffer->values;
    for (std::size_t i = 0; i < right.size; ++i) values.push_back(right.at(i));
    auto* joined = heap_.make<Sequence>(left);
    joined->size += right.size;
    joined->weight = std::min(kMaxWeight, left.weight + right.weight);
    return {a.type, joined};
  }
  step(left.size);
  std::vector<Value> values(left.items().begin(), left.items().end());
  values.insert(values.end(), right.items().begin(), right.items().end());
  const Value joined = a.is(Type::kList) ? heap_.list(std::move(values)) : heap_.tuple(std::move(values));
  joined.sequence().buffer->growable = true;
  return joined;
}

Value Runtime::subtract(const Value& a, const Value& b) {
  if (both_integral(a, b)) {
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.as_integer(), b.as_integer(), &difference)) overflow();
    return Value::of(difference);
  }
  if (!both_numbers(a, b)) refuse("-", a, b);
  return Value::of(a.as_real() - b.as_real());
}

Value Runtime::multiply(const Value& a, const Value& b) {
  if (both_integral(a, b)) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(a.as_integer(), b.as_integer(), &product)) overflow();
    return Value::of(product);
  }
  if (both_numbers(a, b)) return Value::of(a.as_real() * b.as_real());
  const bool left_repeats = b.is_integral();
  const Value &repeated = left_repeats ? a : b, &times = left_repeats ? b : a;
  if (!times.is_integral() || (!repeated.is(Type::kString) && !repeated.is_sequence())) refuse("*", a, b);
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(0, times.as_integer()));
  const std::size_t size =
      repeated.is(Type::kString) ? repeated.text().size() : repeated.sequence().size * sizeof(Value);
  if (size > 0 && count > limits_.memory / size) heap_.charge(limits_.memory + 1);  // throws
  if (repeated.is(Type::kString)) {
    heap_.charge(size * count);
    std::string text;
    if (size > 0) {
      for (std::size_t i = 0; i < count; ++i) text += repeated.text();
    }
    return string(text, repeated.string().markup);
  }
  const Sequence& source = repeated.sequence();
  step(source.size * count);
  std::vector<Value> values;
  if (source.size > 0) {
    for (std::size_t i = 0; i < count; ++i) values.insert(values.end(), source.items().begin(), source.items().end());
  }
  return repeated.is(Type::kList) ? heap_.list(std::move(values)) : heap_.tuple(std::move(values));
}

Value Runtime::divide(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) refuse("/", a, b);
  if (b.as_real() == 0) fail("division by zero");
  return Value::of(a.as_real() / b.as_real());
}

Value Runtime::floor_divide(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) refuse("//", a, b);
  if (b.as_real() == 0) fail("integer division or modulo by zero");
  if (both_integral(a, b)) {
    const std::int64_t x = a.as_integer(), y = b.as_integer();
    if (y == -1) return negative(a);
    return Value::of(x / y - (x % y != 0 && (x < 0) != (y < 0)));
  }
  // CPython's float_floor_div: from the exact remainder.
  const double x = a.as_real(), y = b.as_real();
  double remainder = std::fmod(x, y), quotient = (x - remainder) / y;
  if (remainder != 0 && (y < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return Value::of(std::copysign(0.0, x / y));
  const double floored = std::floor(quotient);
  return Value::of(quotient - floored > 0.5 ? floored + 1 : floored);
}

Value Runtime::modulo(const Value& a, const Value& b) {
  if (a.is(Type::kString)) return string(format_percent(*this, a.text(), b), a.string().markup);
  if (!both_numbers(a, b)) refuse("%", a, b);
  if (b.as_real() == 0) fail("integer division or modulo by zero");
  if (both_integral(a, b)) {
    const std::int64_t x = a.as_integer(), y = b.as_integer();
    if (y == -1) return Value::of(std::int64_t{0});
    const std::int64_t remainder = x % y;
    return Value::of(remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder);
  }
  const double y = b.as_real();
  double remainder = std::fmod(a.as_real(), y);
  if (remainder == 0) return Value::of(std::copysign(0.0, y));
  if ((y < 0) != (remainder < 0)) remainder += y;
  return Value::of(remainder);
}

Value Runtime::power(const Value& a, const Value& b) {
  if (!both_numbers(a, b)) refuse("**", a, b);
  if (both_integral(a, b) && b.as_integer() >= 0) {
    const std::int64_t base = a.as_integer();
    if (base == 0 || base == 1) return Value::of(std::int64_t{base == 1 || b.as_integer() == 0});
    if (base == -1) return Value::of(std::int64_t{b.as_integer() % 2 == 0 ? 1 : -1});
    return Value::of(integer_power(base, b.as_integer()));
  }
  const double x = a.as_real(), y = b.as_real();
  if (x == 0 && y < 0) fail("zero cannot be raised to a negative power");
  if (x < 0 && std::isfinite(x) && std::isfinite(y) && y != std::floor(y)) fail("complex numbers are not supported");
  const double result = std::pow(x, y);
  if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) fail("the result of ** is too large");
  return Value::of(result);
}

Value Runtime::negative(const Value& a) {
  if (a.is(Type::kFloat)) return Value::of(-a.real);
  if (!a.is_integral()) refuse("unary -", a, a);
  if (a.as_integer() == INT64_MIN) overflow();
  return Value::of(-a.as_integer());
}

Value Runtime::positive(const Value& a) {
  if (a.is(Type::kFloat)) return a;
  if (!a.is_integral()) refuse("unary +", a, a);
  return Value::of(a.as_integer());
}

bool Runtime::equal(const Value& a, const Value& b) {
  if (a.type == b.type) step(std::min(weight(a), weight(b)));
  return jinja::equal(a, b);
}

int Runtime::compared(const Value& a, const Value& b) {
  step(std::min(weight(a), weight(b)));
  return compare(a, b);
}

const Value* Runtime::find(const Dict& dict, const Value& key) {
  step(weight(key));
  return dict.find(key);
}

void Runtime::set(Dict& dict, const Value& key, const Value& value) {
  step(weight(key));
  heap_.charge(3 * sizeof(Value));
  dict.set(key, value);
}

bool Runtime::ordered(Comparison comparison, const Value& a, const Value& b) {
  const int order = compared(a, b);
  if (order == 2) return false;
  switch (comparison) {
    case Comparison::kLess:
      return order < 0;
    case Comparison::kLessEqual:
      return order <= 0;
    case Comparison::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

bool Runtime::contains(const Value& container, const Value& item) {
  if (container.is(Type::kString)) {
    if (item.is(Type::kUndefined)) fail("{}", item.as<Undefined>().reason());
    if (!item.is(Type::kString)) fail("'in <string>' requires string as left operand, not {}", type_name(item));
    step(container.text().size() / 64);
    return container.text().find(item.text()) != std::string_view::npos;
  }
  if (container.is(Type::kDict)) {
    step(weight(item));
    static_cast<void>(hash_value(item));  // an unhashable item is an error
    return container.dict().find(item) != nullptr;
  }
  if (container.is(Type::kView) && container.as<View>().kind == View::kKeys) {
    return contains(container.as<View>().dict, item);
  }
  Iterator* iterator = iterate(container);
  Value candidate;
  while (iterator->next(candidate)) {
    if (equal(candidate, item)) return true;
  }
  return false;
}

}  // namespace attune::jinja
