#include "http/message.h"

#include <algorithm>

namespace attune {

std::optional<std::string> Headers::get(std::string_view name) const {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const auto& [field, value] : fields_) {
    const bool same = std::equal(field.begin(), field.end(), name.begin(), name.end(),
                                 [&](char a, char b) { return lower(a) == lower(b); });
    if (same) return value;
  }
  return std::nullopt;
}

}  // namespace attune
