#include "base/byte_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

namespace attune {
namespace {

struct Unit {
  const char* name;
  std::uint64_t bytes;
};

constexpr Unit kUnits[] = {
    {"TB", 1'000'000'000'000}, {"GB", 1'000'000'000}, {"MB", 1'000'000}, {"KB", 1'000}, {"TiB", std::uint64_t{1} << 40},
    {"GiB", 1 << 30},          {"MiB", 1 << 20},      {"KiB", 1 << 10},  {"B", 1}};

}  // namespace

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit_name(stop, static_cast<std::size_t>(end - stop));
  for (const Unit& unit : kUnits) {
    const double bytes = std::floor(value * static_cast<double>(unit.bytes));
    if (unit_name == unit.name && bytes >= 1.0 && bytes < 1e15) return static_cast<std::uint64_t>(bytes);
  }
  return std::nullopt;
}

std::string byte_size_text(std::uint64_t bytes) {
  const auto* const unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return bytes % u.bytes == 0; });
  return fmt::format("{}{}", bytes / unit->bytes, unit->name);
}

}  // namespace attune
