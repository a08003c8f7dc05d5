// Private values in a text -> replacements that are the same for the same value throughout a data set: "[phone 1]",
// "[email 2]", or a pseudonym. What each replacement stands for is kept apart (to_json()), for the owner's eyes only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "privacy/finding.h"
#include "privacy/names.h"

namespace attune {

struct RedactOptions {
  std::vector<std::string> keep;   // kinds ("phone") or values ("info@example.com") that stay
  std::vector<std::string> names;  // people to replace by pseudonyms; empty: nobody
};

struct RedactionCount {
  std::uint64_t replaced = 0;  // places
  std::uint64_t values = 0;    // different values
};

// What every detector finds in a text, names excepted, in order and without overlaps.
std::vector<Finding> find_private(std::string_view text);

class Redactor {
 public:
  // Throws UserError for an entry of `keep` that is neither a kind nor holds a private value.
  explicit Redactor(const RedactOptions& options);

  // Replaces what is private in `text`. Values get their numbers in the order in which they are met.
  void redact(std::string& text);
  // A person's name, whole: the pseudonym when names are replaced, else what redact() makes of it.
  std::string redact_name(const std::string& name);

  const std::array<RedactionCount, kPrivateKinds>& counts() const { return counts_; }
  bool empty() const;  // nothing was replaced so far
  // {"phone":[{"replacement":"[phone 1]","value":"+36 30 123 4567"},...],...}: the value as first written.
  Json to_json() const;

 private:
  std::vector<Finding> find(std::string_view text) const;
  const std::string& replacement(const Finding& finding, std::string_view written);

  std::array<bool, kPrivateKinds> kept_kinds_{};
  std::set<std::string> kept_values_;
  std::optional<Names> names_;
  std::array<RedactionCount, kPrivateKinds> counts_{};
  struct Known {
    std::string replacement, written;
  };
  std::map<std::pair<PrivateKind, std::string>, Known> known_;
};

}  // namespace attune
