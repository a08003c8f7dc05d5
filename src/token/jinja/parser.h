// Tokens -> syntax tree: jinja2's grammar with the extensions that Hugging Face enables ("break", "continue" and
// "generation"). Tags that need other templates (include, import, extends, block) parse to an error that is raised when
// they run, as jinja2 raises without a loader; block and autoescape are refused.
#pragma once

#include <string_view>

#include "token/jinja/ast.h"

namespace attune::jinja {

// Names are not resolved yet (see scope.h). Throws SyntaxError.
TemplateTree parse(std::string_view source);

}  // namespace attune::jinja
