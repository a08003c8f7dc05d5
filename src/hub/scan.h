// The look through what is to be pushed, before anything is sent: secrets in every file, personal data in text and data.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "http/secret.h"
#include "hub/push_files.h"
#include "privacy/finding.h"

namespace attune {

struct PushFinding {
  std::string path;        // in the repository
  std::uint64_t line = 0;  // from 1; 0: the file is binary
  PrivateKind kind = PrivateKind::kToken;
  std::string shown;  // its first characters, the rest as "…": enough to find it, too little to use it
};

// What of a text is not for others, in order of place: secrets, and with `personal` e-mail addresses, telephone numbers,
// bank accounts and cards. Addresses that are set aside for examples are left alone; names and places are not looked for.
std::vector<Finding> find_unpushable(std::string_view text, bool personal);

struct ScanOptions {
  // What the user accepts: "FILE:LINE" (anything there), "FILE" or "KIND" (personal data only: email, phone, iban, card).
  std::vector<std::string> allowed;
  std::vector<Secret> own_secrets;  // found wherever they stand, whatever their form
  std::function<bool()> cancelled;
};

// Every finding that is not allowed, by file and line. Text files are read whole, with the escapes of JSON undone in JSON
// files. Of binary files the first 16 MB, which hold their headers and metadata, are searched for secrets. A tokenizer's
// vocabulary is searched for secrets only: its pieces are no one's numbers. UserError for an allowance that names nothing.
std::vector<PushFinding> scan(const PushFiles& files, const ScanOptions& options);

// A table for people.
std::string to_text(std::span<const PushFinding> findings);

}  // namespace attune
