// Filters on numbers.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "token/jinja/filters.h"

namespace attune::jinja {
namespace {

[[noreturn]] void refuse(std::string_view filter, const Value& value) {
  if (value.is(Type::kUndefined)) fail("{}", value.as<Undefined>().reason());
  fail("{} expects a number, got '{}'", filter, type_name(value));
}

// round(float, digits) of CPython: through the exact decimal form, halves to even.
double round_decimal(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits >= 0) {
    char text[1000];
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), value);
    return std::strtod(text, nullptr);
  }
  const double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

}  // namespace

ATTUNE_FILTER(abs) {
  const Bound bound("abs()", arguments, {}, 0);
  if (input.is(Type::kFloat)) return Value::of(std::fabs(input.real));
  if (!input.is_integral()) refuse("abs", input);
  return input.as_integer() < 0 ? runtime.negative(input) : Value::of(input.as_integer());
}

ATTUNE_FILTER(float) {
  const Bound bound("float()", arguments, {"default"}, 0);
  static_cast<void>(runtime);
  if (input.is_number()) return Value::of(input.as_real());
  if (input.is(Type::kUndefined)) refuse("float", input);
  if (input.is(Type::kString)) {
    if (const auto value = parse_float(input.text())) return Value::of(*value);
  }
  return bound.has(0) ? bound[0] : Value::of(0.0);
}

ATTUNE_FILTER(int) {
  const Bound bound("int()", arguments, {"default", "base"}, 0);
  static_cast<void>(runtime);
  const Value fallback = bound.has(0) ? bound[0] : Value::of(std::int64_t{0});
  if (input.is_integral()) return Value::of(input.as_integer());
  if (input.is(Type::kUndefined)) refuse("int", input);
  std::optional<double> real;
  if (input.is(Type::kFloat)) real = input.real;
  if (input.is(Type::kString)) {
    if (const auto value = parse_integer(input.text(), bound.integer(1, 10))) return Value::of(*value);
    real = parse_float(input.text());
  }
  if (!real || std::isnan(*real)) return fallback;
  if (std::isinf(*real)) {
    // int(inf) raises OverflowError, which jinja2 catches only on its second try.
    if (input.is(Type::kFloat)) fail("cannot convert float infinity to integer");
    return fallback;
  }
  return float_to_integer(*real);
}

ATTUNE_FILTER(round) {
  const Bound bound("round()", arguments, {"precision", "method"}, 0);
  const std::int64_t precision = bound.integer(0, 0);
  const std::string method = bound.has(1) ? runtime.str(bound[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  if (!input.is_number()) refuse("round", input);
  if (method == "common") {
    if (input.is(Type::kFloat)) return Value::of(round_decimal(input.real, precision));
    if (precision >= 0) return Value::of(input.as_integer());
    if (precision < -18) return Value::of(std::int64_t{0});
    std::int64_t scale = 1;
    for (std::int64_t i = precision; i < 0; ++i) scale *= 10;
    const std::int64_t value = input.as_integer();
    std::int64_t quotient = value / scale, rest = value % scale;
    if (rest < 0) rest += scale, --quotient;
    if (rest * 2 > scale || (rest * 2 == scale && quotient % 2 != 0)) ++quotient;
    return runtime.multiply(Value::of(quotient), Value::of(scale));
  }
  const Value scale = runtime.power(Value::of(std::int64_t{10}), Value::of(precision));
  const double scaled = runtime.multiply(input, scale).as_real();
  return runtime.divide(float_to_integer(method == "ceil" ? std::ceil(scaled) : std::floor(scaled)), scale);
}

ATTUNE_FILTER(sum) {
  const Bound bound("sum()", arguments, {"attribute", "start"}, 0);
  const AttributeGetter get(runtime, bound[0], false);
  Value total = bound.has(1) ? bound[1] : Value::of(std::int64_t{0});
  if (total.is(Type::kString)) fail("sum() can't sum strings [use ''.join(seq) instead]");
  Iterator* iterator = runtime.iterate(input);
  for (Value item; iterator->next(item);) total = runtime.add(total, get(item));
  return total;
}

}  // namespace attune::jinja
