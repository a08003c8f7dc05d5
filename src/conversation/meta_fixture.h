// For the tests of Messenger and Instagram.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace attune {

// As Meta writes text: each byte of the UTF-8 as an escaped character.
inline std::string mangled(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      escaped += c;
    } else {
      escaped += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

}  // namespace attune
