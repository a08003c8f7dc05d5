// The forms of secrets and of personal data that can be told from other text: tokens by their prefixes, IBANs by their
// check digits, e-mail addresses and telephone numbers by how they are written. Names and addresses cannot, and are not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

enum class FindingKind : std::uint8_t { kToken, kPrivateKey, kEmail, kPhone, kIban };

bool is_secret(FindingKind kind);
const char* kind_name(FindingKind kind);  // "token", "private-key", "email", "phone", "iban"

struct PatternMatch {
  FindingKind kind;
  std::size_t begin = 0, end = 0;  // in the text
};

// In order of place. `personal` asks for e-mail, telephone and IBAN as well as secrets.
std::vector<PatternMatch> find_patterns(std::string_view text, bool personal);

}  // namespace attune
