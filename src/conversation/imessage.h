// iMessage: chat.db of a Mac (~/Library/Messages) or sms.db of an iPhone's backup, SQLite. Tables message, handle, chat,
// chat_message_join; columns differ between versions, and what is missing is read as NULL.
//   message.date                     since 2001-01-01 UTC, in seconds, from 2017 on in nanoseconds
//   message.text, attributedBody     since 2022 often only the second: an NSAttributedString in a "typedstream"
//   message.associated_message_type  1000-3999: a tapback or sticker on another message
//   message.item_type                not 0: somebody joined, left, renamed the group
// There are no names: people are phone numbers and mail addresses (--alias names them), the owner is --me.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conversation/importer.h"

namespace attune {

extern const Importer kIMessage;

// The string of an attributedBody; nullopt when there is none in it. Never throws.
std::optional<std::string> attributed_text(std::string_view typedstream);

class SqliteReader;
// The chats of an open database, one ChatLog each. For tests and fuzzing; `source` begins their names.
std::vector<ChatLog> read_imessage(const SqliteReader& database, const std::string& source, const ReadOptions& options);

}  // namespace attune
