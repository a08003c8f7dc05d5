// The text and the questions that forgetting is noticed by: a user's own, or those that come with the program.
#pragma once

#include <string>
#include <vector>

#include "eval/checks.h"

namespace attune {

// `named` is a file; empty: the bundled one. Throws as read_file(), read_checks() and find_assets(); BadFile for a
// question without choices.
std::string read_general_text(const std::string& named);
std::vector<Check> read_general_questions(const std::string& named);

}  // namespace attune
