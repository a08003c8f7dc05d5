// Base64 (RFC 4648, with padding).
#pragma once

#include <string>
#include <string_view>

namespace attune {

std::string base64(std::string_view bytes);  // at most 1 GB

}  // namespace attune
