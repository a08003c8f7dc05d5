#include "token/jinja/template.h"

#include "base/error.h"
#include "token/jinja/interpreter.h"
#include "token/jinja/lexer.h"
#include "token/jinja/parser.h"
#include "token/jinja/scope.h"

namespace attune::jinja {
namespace {

constexpr std::size_t kMaxSource = std::size_t{1} << 20;

// What a template raises may hold anything: one line, bounded.
std::string one_line(std::string_view cause) {
  std::string text;
  for (char c : cause.substr(0, 500)) text += c == '\n' || c == '\r' ? ' ' : c;
  return text;
}

}  // namespace

struct Template::Compiled {
  TemplateTree tree;
};

Template::Template(std::string_view source) {
  if (source.size() > kMaxSource) {
    throw UserError("[chat template] expected at most {} bytes, got {}", kMaxSource, source.size());
  }
  try {
    auto compiled = std::make_unique<Compiled>();
    compiled->tree = parse(source);
    resolve_names(compiled->tree);
    compiled_ = std::move(compiled);
  } catch (const SyntaxError& error) {
    throw UserError("[chat template, line {}] {}", error.line, one_line(error.what()));
  } catch (const TemplateError& error) {
    throw UserError("[chat template] {}", one_line(error.what()));
  }
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(Heap& heap, const Variables& variables, const Limits& limits,
                             const std::function<std::tm()>& clock) const {
  Runtime runtime(heap, limits, clock);
  Interpreter interpreter(runtime, compiled_->tree, variables);
  try {
    return interpreter.run();
  } catch (const TemplateError& error) {
    throw UserError("[chat template, line {}] {}", interpreter.line(), one_line(error.what()));
  }
}

}  // namespace attune::jinja
