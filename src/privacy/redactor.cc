#include "privacy/redactor.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "privacy/characters.h"

namespace attune {
namespace {

std::size_t index(PrivateKind kind) { return static_cast<std::size_t>(kind); }

// What every detector finds; where two overlap, the earlier of this order wins: a password in a link is part of the
// link, and an account number of its own is no phone number.
std::vector<Finding> find_all(std::string_view text, const Names* names) {
  std::vector<Finding> all;
  find_urls(text, all);
  find_secrets(text, all);
  find_emails(text, all);
  if (std::any_of(text.begin(), text.end(), [](char c) { return is_digit(c); })) {
    find_bank_numbers(text, all);
    find_coordinates(text, all);
    find_phones(text, all);
    find_addresses(text, all);
  }
  if (names) names->find(text, all);
  if (all.size() < 2) return all;
  std::vector<Finding> kept;
  for (Finding& finding : all) {
    const bool free = std::none_of(kept.begin(), kept.end(), [&](const Finding& other) {
      return finding.begin < other.end && other.begin < finding.end;
    });
    if (free) kept.push_back(std::move(finding));
  }
  std::sort(kept.begin(), kept.end(), [](const Finding& a, const Finding& b) { return a.begin < b.begin; });
  return kept;
}

}  // namespace

std::vector<Finding> find_private(std::string_view text) { return find_all(text, nullptr); }

Redactor::Redactor(const RedactOptions& options) {
  if (!options.names.empty()) names_.emplace(options.names);
  std::vector<std::string> kinds;
  for (std::size_t i = 0; i < kPrivateKinds; ++i) kinds.emplace_back(private_kind_name(static_cast<PrivateKind>(i)));
  for (const std::string& keep : options.keep) {
    if (const auto kind = private_kind_named(keep)) {
      kept_kinds_[index(*kind)] = true;
      continue;
    }
    const std::vector<Finding> found = find_all(keep, names_ ? &*names_ : nullptr);
    if (found.empty()) {
      std::string list;
      for (const std::string& kind : kinds) list += (list.empty() ? "" : ", ") + kind;
      throw UserError("[--keep] expected one of {}, or a value that would be replaced, got \"{}\"{}", list,
                      to_valid_utf8(keep), did_you_mean(keep, kinds));
    }
    for (const Finding& finding : found) kept_values_.insert(finding.value);
  }
}

std::vector<Finding> Redactor::find(std::string_view text) const {
  std::vector<Finding> found = find_all(text, names_ ? &*names_ : nullptr);
  std::erase_if(found, [&](const Finding& f) { return kept_kinds_[index(f.kind)] || kept_values_.contains(f.value); });
  return found;
}

const std::string& Redactor::replacement(const Finding& finding, std::string_view written) {
  const auto [entry, is_new] = known_.try_emplace({finding.kind, finding.value});
  RedactionCount& count = counts_[index(finding.kind)];
  ++count.replaced;
  if (is_new) {
    ++count.values;
    entry->second.written = written;
    if (finding.kind == PrivateKind::kName) {
      const auto& people = names_->people();
      const auto person = std::find(people.begin(), people.end(), finding.value) - people.begin();
      entry->second = {names_->pseudonym(static_cast<std::size_t>(person)), finding.value};
    } else {
      entry->second.replacement = fmt::format("[{} {}]", private_kind_name(finding.kind), count.values);
    }
  }
  return entry->second.replacement;
}

void Redactor::redact(std::string& text) {
  const std::vector<Finding> found = find(text);
  if (found.empty()) return;
  std::string clean;
  std::size_t at = 0;
  for (const Finding& finding : found) {
    clean.append(text, at, finding.begin - at);
    clean += replacement(finding, std::string_view(text).substr(finding.begin, finding.end - finding.begin));
    at = finding.end;
  }
  clean.append(text, at);
  text = std::move(clean);
}

std::string Redactor::redact_name(const std::string& name) {
  if (names_ && !kept_kinds_[index(PrivateKind::kName)] && !kept_values_.contains(name)) {
    const auto& people = names_->people();
    if (std::find(people.begin(), people.end(), name) != people.end()) {
      return replacement({0, name.size(), PrivateKind::kName, name}, name);
    }
  }
  std::string label = name;
  redact(label);
  return label;
}

bool Redactor::empty() const { return known_.empty(); }

Json Redactor::to_json() const {
  Json json = Json::object();
  for (const auto& [key, known] : known_) {
    json[std::string(private_kind_name(key.first))].push_back(
        Json{{"replacement", known.replacement}, {"value", to_valid_utf8(known.written)}});
  }
  return json;
}

}  // namespace attune
