// Error types of attune. One mechanism everywhere: exceptions, caught only in cli/main.cc (and the HTTP handler).
// A message is one line: "[where] what was expected, what was found; what to do".
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace attune {

// Base of every error that is not a fault of ours. cli/main.cc prints what() and exits with status 2.
class UserError : public std::runtime_error {
 public:
  explicit UserError(const std::string& message) : std::runtime_error(message) {}
  template <typename... Args>
  explicit UserError(fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

// A file whose bytes break its format's rules. The message names the file and the place in it.
class BadFile : public UserError {
 public:
  using UserError::UserError;
};

// A valid request that this build, this machine or this version cannot honour.
class Unsupported : public UserError {
 public:
  using UserError::UserError;
};

// The long-running work was stopped by the user (Ctrl-C or SIGTERM) after it had saved what it must.
class Interrupted : public UserError {
 public:
  using UserError::UserError;
};

// An invariant of our own broke: exit status 1, please report.
class InternalError : public std::logic_error {
 public:
  explicit InternalError(const std::string& message) : std::logic_error(message) {}
  template <typename... Args>
  explicit InternalError(fmt::format_string<Args...> format, Args&&... args)
      : std::logic_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

}  // namespace attune
