// The tests behind "is".
#include <algorithm>

#include "token/jinja/builtins.h"
#include "token/jinja/runtime.h"
#include "token/jinja/text.h"

namespace attune::jinja {
namespace {

#define ATTUNE_TEST(name) \
  bool test_##name([[maybe_unused]] Runtime& runtime, const Value& input, [[maybe_unused]] Arguments& arguments)

void no_arguments(std::string_view name, const Arguments& arguments) { const Bound bound(name, arguments, {}, 0); }

// A test of one value by a condition.
#define ATTUNE_SIMPLE_TEST(name, condition) \
  ATTUNE_TEST(name) {                       \
    no_arguments(#name "()", arguments);    \
    return condition;                       \
  }

std::int64_t remainder(Runtime& runtime, const Value& value, const Value& divisor) {
  const Value rest = runtime.modulo(value, divisor);
  if (rest.is(Type::kFloat)) return rest.real == 0 ? 0 : rest.real == 1 ? 1 : 2;
  return rest.is_integral() ? rest.as_integer() : 2;
}

bool all_cased(const std::u32string& text, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  return std::any_of(text.begin(), text.end(), wanted) &&
         std::none_of(text.begin(), text.end(), [&](char32_t c) { return other(c) || is_title(c); });
}

bool is_identical(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case Type::kNone:
      return true;
    case Type::kBool:
      return a.boolean == b.boolean;
    case Type::kInt:
      return a.integer == b.integer;
    case Type::kFloat:
      return a.real == b.real;
    case Type::kString:
      return a.text() == b.text();
    default:
      return a.object == b.object;
  }
}

ATTUNE_SIMPLE_TEST(odd, remainder(runtime, input, Value::of(std::int64_t{2})) == 1)
ATTUNE_SIMPLE_TEST(even, remainder(runtime, input, Value::of(std::int64_t{2})) == 0)
ATTUNE_SIMPLE_TEST(defined, !input.is(Type::kUndefined))
ATTUNE_SIMPLE_TEST(undefined, input.is(Type::kUndefined))
ATTUNE_SIMPLE_TEST(none, input.is(Type::kNone))
ATTUNE_SIMPLE_TEST(boolean, input.is(Type::kBool))
ATTUNE_SIMPLE_TEST(false, input.is(Type::kBool) && !input.boolean)
ATTUNE_SIMPLE_TEST(true, input.is(Type::kBool) && input.boolean)
ATTUNE_SIMPLE_TEST(integer, input.is(Type::kInt))
ATTUNE_SIMPLE_TEST(float, input.is(Type::kFloat))
ATTUNE_SIMPLE_TEST(lower, all_cased(decode(runtime.str(input)), is_lower, is_upper))
ATTUNE_SIMPLE_TEST(upper, all_cased(decode(runtime.str(input)), is_upper, is_lower))
ATTUNE_SIMPLE_TEST(string, input.is(Type::kString))
ATTUNE_SIMPLE_TEST(mapping, input.is(Type::kDict))
ATTUNE_SIMPLE_TEST(number, input.is_number())
ATTUNE_SIMPLE_TEST(escaped, input.is(Type::kString) && input.string().markup)
ATTUNE_SIMPLE_TEST(callable, input.is(Type::kFunction) || input.is(Type::kMacro) || input.is(Type::kLoop) ||
                                 input.is(Type::kUndefined))
// Python's sequence protocol: a length and items.
ATTUNE_SIMPLE_TEST(sequence, length_of(input).has_value() && !input.is(Type::kView))
ATTUNE_SIMPLE_TEST(iterable, length_of(input).has_value() || input.is(Type::kIterator) || input.is(Type::kLoop))

ATTUNE_TEST(divisibleby) {
  const Bound bound("divisibleby()", arguments, {"num"}, 1);
  return remainder(runtime, input, bound[0]) == 0;
}
ATTUNE_TEST(sameas) {
  const Bound bound("sameas()", arguments, {"other"}, 1);
  return is_identical(input, bound[0]);
}
ATTUNE_TEST(in) {
  const Bound bound("in()", arguments, {"seq"}, 1);
  return runtime.contains(bound[0], input);
}
ATTUNE_TEST(filter) {
  no_arguments("filter()", arguments);
  return input.is(Type::kString) && find_filter(input.text()) != nullptr;
}
ATTUNE_TEST(test) {
  no_arguments("test()", arguments);
  return input.is(Type::kString) && find_test(input.text()) != nullptr;
}
ATTUNE_TEST(eq) {
  const Bound bound("eq()", arguments, {"b"}, 1);
  return runtime.equal(input, bound[0]);
}
ATTUNE_TEST(ne) {
  const Bound bound("ne()", arguments, {"b"}, 1);
  return !runtime.equal(input, bound[0]);
}

template <Comparison comparison>
bool test_ordered(Runtime& runtime, const Value& input, Arguments& arguments) {
  const Bound bound("comparison", arguments, {"b"}, 1);
  return runtime.ordered(comparison, input, bound[0]);
}

struct Row {
  std::string_view name;
  TestFunction function;
};

constexpr Row kTests[] = {
    {"odd", test_odd},
    {"even", test_even},
    {"divisibleby", test_divisibleby},
    {"defined", test_defined},
    {"undefined", test_undefined},
    {"filter", test_filter},
    {"test", test_test},
    {"none", test_none},
    {"boolean", test_boolean},
    {"false", test_false},
    {"true", test_true},
    {"integer", test_integer},
    {"float", test_float},
    {"lower", test_lower},
    {"upper", test_upper},
    {"string", test_string},
    {"mapping", test_mapping},
    {"number", test_number},
    {"sequence", test_sequence},
    {"iterable", test_iterable},
    {"callable", test_callable},
    {"sameas", test_sameas},
    {"escaped", test_escaped},
    {"in", test_in},
    {"==", test_eq},
    {"eq", test_eq},
    {"equalto", test_eq},
    {"!=", test_ne},
    {"ne", test_ne},
    {">", test_ordered<Comparison::kGreater>},
    {"gt", test_ordered<Comparison::kGreater>},
    {"greaterthan", test_ordered<Comparison::kGreater>},
    {"ge", test_ordered<Comparison::kGreaterEqual>},
    {">=", test_ordered<Comparison::kGreaterEqual>},
    {"<", test_ordered<Comparison::kLess>},
    {"lt", test_ordered<Comparison::kLess>},
    {"lessthan", test_ordered<Comparison::kLess>},
    {"<=", test_ordered<Comparison::kLessEqual>},
    {"le", test_ordered<Comparison::kLessEqual>},
};

}  // namespace

TestFunction find_test(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kTests), std::end(kTests), [&](const Row& row) { return row.name == name; });
  return found != std::end(kTests) ? found->function : nullptr;
}

}  // namespace attune::jinja
