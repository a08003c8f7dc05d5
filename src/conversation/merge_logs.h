// Several exports -> chats on one time line: people who have several names get one, exports of the same chat become one
// log, and what two of them share is read once.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "conversation/chat_log.h"

namespace attune {

// Another name of one person: `other` in a chat means `name`. Compared as names are (fold_name).
struct Alias {
  std::string other, name;
};

// "Old Name=Name". UserError naming the option when there is no such pair in it.
Alias parse_alias(const std::string& text);

// The names that `names` have after the aliases.
std::vector<std::string> with_aliases(std::vector<std::string> names, const std::vector<Alias>& aliases);

// Logs count as one chat when the same people write in them and no two of their programs or their chats' own names
// differ; "ok" at 12:01 is then twice the same message, and the later file gives only what is new. A merged log is in
// order of time. UserError when an alias names nobody.
std::vector<ChatLog> merge_logs(std::vector<ChatLog> logs, const std::vector<Alias>& aliases);

// Messages by sender of all logs, the most talkative first.
std::vector<std::pair<std::string, std::uint64_t>> count_senders(const std::vector<ChatLog>& logs);

}  // namespace attune
