// What the evaluation of a template shares: budgets, the heap, the clock, and Python's operations on values.
#pragma once

#include <array>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "token/jinja/ast.h"
#include "token/jinja/template.h"
#include "token/jinja/value.h"

namespace attune::jinja {

class Runtime {
 public:
  Runtime(Heap& heap, const Limits& limits, const std::function<std::tm()>& clock);

  Heap& heap() { return heap_; }
  std::tm now() const { return clock_(); }
  // Counts work; throws TemplateError beyond the limit.
  void step(std::size_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) out_of_steps();
  }

  Value string(std::string_view text, bool markup = false) {
    step(text.size() / 64);
    return heap_.string(text, markup);
  }
  // str(value).
  std::string str(const Value& value);
  Value undefined(const Value& owner, std::string_view name) { return heap_.undefined(owner, heap_.string(name)); }

  // -- Iteration
  Iterator* iterate(const Value& value);  // TemplateError when it is not iterable
  std::vector<Value> to_vector(const Value& value);
  Value iterator(std::function<bool(Value&)> next);

  // -- Operators (operators.cc)
  Value add(const Value& a, const Value& b);
  Value subtract(const Value& a, const Value& b);
  Value multiply(const Value& a, const Value& b);
  Value divide(const Value& a, const Value& b);
  Value floor_divide(const Value& a, const Value& b);
  Value modulo(const Value& a, const Value& b);
  Value power(const Value& a, const Value& b);
  Value negative(const Value& a);
  Value positive(const Value& a);
  bool contains(const Value& container, const Value& item);
  bool equal(const Value& a, const Value& b);
  bool ordered(Comparison comparison, const Value& a, const Value& b);
  // compare(), Dict::find() and Dict::set() at their price.
  int compared(const Value& a, const Value& b);
  const Value* find(const Dict& dict, const Value& key);
  void set(Dict& dict, const Value& key, const Value& value);

  // -- Access (access.cc); undefined when there is nothing
  Value get_attribute(const Value& object, const Value& name);
  Value get_item(const Value& object, const Value& key);
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);

  Value call(const Value& callable, Arguments& arguments);
  // The method that `name` is of `object`, called without binding it first; nullopt when there is no such method.
  std::optional<Value> call_method(const Value& object, std::string_view name, Arguments& arguments);
  // Set by the interpreter: calls a macro or a loop, and reads their attributes (missing when there is none).
  std::function<Value(const Value&, Arguments&)> call_template_object;
  std::function<Value(const Value&, std::string_view)> template_object_attribute;

 private:
  [[noreturn]] void out_of_steps() const;
  Heap& heap_;
  Limits limits_;
  std::size_t steps_ = 0;
  int iterator_depth_ = 0;
  std::function<std::tm()> clock_;
};

// Arguments bound to a parameter list as Python binds them; parameters that were not given are missing.
// Throws TemplateError when there are too many, unknown or repeated ones, or fewer than `required`.
class Bound {
 public:
  Bound(std::string_view function, const Arguments& arguments, std::initializer_list<std::string_view> names,
        std::size_t required);
  const Value& operator[](std::size_t i) const { return values_[i]; }
  bool has(std::size_t i) const { return !values_[i].missing(); }
  std::int64_t integer(std::size_t i, std::int64_t fallback) const;  // TemplateError unless an integer
  bool flag(std::size_t i, bool fallback) const { return has(i) ? truth(values_[i]) : fallback; }

 private:
  std::array<Value, 8> values_;
};

// int() of a str, "" and errors as nullopt; `base` as Python's int().
std::optional<std::int64_t> parse_integer(std::string_view text, std::int64_t base);
std::optional<double> parse_float(std::string_view text);
Value float_to_integer(double value);  // truncates; TemplateError for infinities and NaN

// "text" % argument and "text".format(...).
std::string format_percent(Runtime& runtime, std::string_view text, const Value& argument);
std::string format_braces(Runtime& runtime, std::string_view text, const Arguments& arguments);

// json.dumps.
struct JsonStyle {
  bool ascii = false, sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ", key_separator = ": ";
};
std::string to_json(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace attune::jinja
