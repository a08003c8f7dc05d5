// Renders Jinja templates for tests/interop/jinja_test.py: JSON lines {"source": text, "context": object} on stdin, one
// line {"output": text} or {"error": text} each on stdout. The clock stands at 2024-07-26 12:34:56.
#include <iostream>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "token/jinja/template.h"

namespace {

using attune::Json;
using attune::jinja::Dict;
using attune::jinja::Heap;
using attune::jinja::Type;
using attune::jinja::Value;

Value to_value(Heap& heap, const Json& json) {
  if (json.is_null()) return Value::none();
  if (json.is_boolean()) return Value::of(json.get<bool>());
  if (json.is_number_integer()) return Value::of(json.get<std::int64_t>());
  if (json.is_number()) return Value::of(json.get<double>());
  if (json.is_string()) return heap.string(json.get<std::string>());
  if (json.is_array()) {
    std::vector<Value> values;
    for (const Json& item : json) values.push_back(to_value(heap, item));
    return heap.list(std::move(values));
  }
  auto* dict = heap.make<Dict>();
  for (const auto& [key, item] : json.items()) dict->set(heap.string(key), to_value(heap, item));
  return {Type::kDict, dict};
}

std::tm fixed_clock() {
  std::tm time{};
  time.tm_year = 124, time.tm_mon = 6, time.tm_mday = 26, time.tm_hour = 12, time.tm_min = 34, time.tm_sec = 56;
  time.tm_wday = 5, time.tm_yday = 207;
  return time;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      const Json request = attune::parse_json(line, "stdin");
      attune::jinja::Limits limits;
      Heap heap(limits.memory);
      attune::jinja::Variables variables;
      for (const auto& [name, value] : request["context"].items()) variables.emplace_back(name, to_value(heap, value));
      const attune::jinja::Template compiled(request["source"].get<std::string>());
      answer["output"] = compiled.render(heap, variables, limits, fixed_clock);
    } catch (const attune::UserError& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << attune::to_json_line(answer) << "\n";
  }
}
