// A private value found in a text, and the families of detectors that find them. One file each; what they accept and
// leave alone is at the top of the file.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

enum class PrivateKind { kUrl, kToken, kPrivateKey, kEmail, kIban, kCard, kPhone, kCoordinates, kAddress, kName };
inline constexpr std::size_t kPrivateKinds = 10;

// "url", "email", ...: the name in reports, in replacements and of --keep.
std::string_view private_kind_name(PrivateKind kind);
std::optional<PrivateKind> private_kind_named(std::string_view name);

struct Finding {
  std::size_t begin, end;  // bytes of the text
  PrivateKind kind;
  std::string value;  // in one way of writing: equal for the same number with and without its spaces
};

// Each appends what it finds in `text` (any bytes), in order and without overlaps among its own.
void find_urls(std::string_view text, std::vector<Finding>& found);
void find_secrets(std::string_view text, std::vector<Finding>& found);
void find_emails(std::string_view text, std::vector<Finding>& found);
void find_bank_numbers(std::string_view text, std::vector<Finding>& found);
void find_phones(std::string_view text, std::vector<Finding>& found);
void find_coordinates(std::string_view text, std::vector<Finding>& found);
void find_addresses(std::string_view text, std::vector<Finding>& found);

}  // namespace attune
