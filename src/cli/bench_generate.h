// attune bench generate, a subcommand of `attune bench`.
#pragma once

#include <CLI/CLI.hpp>

namespace attune {

void add_bench_generate(CLI::App& bench);

}  // namespace attune
