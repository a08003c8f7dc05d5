// An option whose values have names. CLI11's own transformers list names and numbers when a value is none of them.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/nearest.h"

namespace attune {

// For option->transform(): a name becomes its value, anything else is refused with all names and the nearest.
template <typename Enum>
CLI::Validator named_values(const std::map<std::string, Enum>& values) {
  return CLI::Validator(
      [values](std::string& text) -> std::string {
        if (const auto found = values.find(text); found != values.end()) {
          text = std::to_string(static_cast<int>(found->second));
          return "";
        }
        std::vector<std::string> names;
        for (const auto& [name, value] : values) names.push_back(name);
        return fmt::format("expected {}, got {}{}", fmt::join(names, ", "), text, did_you_mean(text, names));
      },
      "");
}

}  // namespace attune
