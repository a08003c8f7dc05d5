// The filters, tests, methods and globals that a template can name.
#pragma once

#include <string_view>

#include "token/jinja/ast.h"

namespace attune::jinja {

// Null when there is none of that name.
FilterFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);

using MethodFunction = Value (*)(Runtime&, const Value& self, Arguments&);
// A method of the value's type, or null.
MethodFunction find_method(const Value& object, std::string_view name);
// True for attributes that exist in Python but that the immutable sandbox hides (list.append, dunder names, ...).
bool is_hidden_attribute(const Value& object, std::string_view name);

// range, dict, namespace, cycler, joiner, raise_exception, strftime_now; missing when there is none of that name.
Value find_global(Runtime& runtime, std::string_view name);

}  // namespace attune::jinja
