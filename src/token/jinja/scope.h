// Replaces the names of a template by slots, following jinja2's scoping rules to the letter (its idtracking and compiler
// modules): every construct that opens a scope lists what its variables start as, a macro reads the variables of the
// place where it was defined, and assignments never leave a loop. Also refuses unknown filters and tests where jinja2
// refuses them when it compiles (outside of conditions).
#pragma once

#include "token/jinja/ast.h"

namespace attune::jinja {

// Throws SyntaxError.
void resolve_names(TemplateTree& tree);

}  // namespace attune::jinja
