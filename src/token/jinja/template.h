// A compiled Jinja template: what jinja2 renders in the environment in which Hugging Face renders chat templates
// (ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls, the "generation" tag, and the names
// raise_exception, strftime_now, tojson, namespace and dict).
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "token/jinja/value.h"

namespace attune::jinja {

// Bounds on one render: a template comes from outside.
struct Limits {
  std::size_t steps = 50'000'000;               // evaluated nodes, visited items, compared bytes / 64
  std::size_t memory = std::size_t{512} << 20;  // bytes allocated, output included
};

using Variables = std::vector<std::pair<std::string, Value>>;

// Const after construction; render() is thread-safe.
class Template {
 public:
  // Throws UserError naming line and cause.
  explicit Template(std::string_view source);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // `variables` may refer to values of `heap`, which must be new for every render: it also receives what the render
  // allocates, and its limit bounds the memory. `clock`: what strftime_now formats (local time by default).
  // Throws UserError "[chat template, line N] cause".
  std::string render(Heap& heap, const Variables& variables, const Limits& limits = {},
                     const std::function<std::tm()>& clock = {}) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace attune::jinja
