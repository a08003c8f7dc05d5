// The privacy pass of an import: what privacy/redactor.h finds is replaced in every message, in the senders' names where
// they are phone numbers (they stand before the turns of a group), and in the names of the files.
#pragma once

#include <string>
#include <vector>

#include "conversation/chat_log.h"
#include "privacy/redactor.h"

namespace attune {

struct PrivacyOptions {
  bool redact = true;
  std::vector<std::string> keep;   // kinds or values that stay
  bool redact_names = false;       // pseudonyms for all senders ...
  std::vector<std::string> names;  // ... and for these people, who may be only mentioned
};

// `senders` of all chats, in the order in which they get pseudonyms. Throws UserError for a bad `keep`.
Redactor make_redactor(const PrivacyOptions& options, const std::vector<std::string>& senders);

// Changes logs in place. `me` (names in the logs) follows the logs; without redact_names it stays as it is.
void redact_logs(std::vector<ChatLog>& logs, std::vector<std::string>& me, const PrivacyOptions& options,
                 Redactor& redactor);

}  // namespace attune
