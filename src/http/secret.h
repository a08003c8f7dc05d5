// A string that must never be seen: a token or a password. It prints as [secret] whatever prints it, does not turn into
// JSON, and is read by name (reveal) in the one place that sends it.
#pragma once

#include <fmt/format.h>

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace attune {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  bool empty() const { return value_.empty(); }
  const std::string& reveal() const { return value_; }

 private:
  std::string value_;
};

inline std::ostream& operator<<(std::ostream& stream, const Secret&) { return stream << "[secret]"; }

template <typename AnyJson>
void to_json(AnyJson&, const Secret&) = delete;

}  // namespace attune

template <>
struct fmt::formatter<attune::Secret> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const attune::Secret&, Context& context) const {
    return fmt::formatter<std::string_view>::format("[secret]", context);
  }
};
