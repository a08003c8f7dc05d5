#include "privacy/finding.h"

namespace attune {
namespace {

constexpr std::array<std::string_view, kPrivateKinds> kNames = {"url",  "token", "private-key", "email",   "iban",
                                                                "card", "phone", "coordinates", "address", "name"};

}  // namespace

std::string_view private_kind_name(PrivateKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<PrivateKind> private_kind_named(std::string_view name) {
  for (std::size_t i = 0; i < kPrivateKinds; ++i) {
    if (kNames[i] == name) return static_cast<PrivateKind>(i);
  }
  return std::nullopt;
}

}  // namespace attune
