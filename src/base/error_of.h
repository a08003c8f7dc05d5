// For tests: the one line that a bad input gets.
#pragma once

#include <string>

#include "base/error.h"

namespace attune {

std::string error_of(const auto& action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace attune
