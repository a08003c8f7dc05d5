// An error as OpenAI's clients expect it: an HTTP status and {"error": {"message", "type", "param", "code"}}.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace attune {

// Thrown by everything that answers a request, caught where replies are written. `param` and `code` may be empty: null.
class ApiError : public std::runtime_error {
 public:
  ApiError(int http_status, const std::string& message, std::string parameter = "", std::string error_code = "",
           int retry_seconds = 0)
      : std::runtime_error(message),
        status(http_status),
        param(std::move(parameter)),
        code(std::move(error_code)),
        retry_after(retry_seconds) {}

  int status;
  std::string param, code;
  int retry_after;  // seconds; 0: no such header

  // The body of the reply; `type` follows from the status.
  std::string body() const;
};

}  // namespace attune
