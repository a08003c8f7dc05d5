#include "serve/api_error.h"

#include "base/json.h"

namespace attune {
namespace {

const char* type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string ApiError::body() const {
  return to_json_line({{"error",
                        {{"message", what()},
                         {"type", type_of(status)},
                         {"param", text_or_null(param)},
                         {"code", text_or_null(code)}}}});
}

}  // namespace attune
