// What Messenger and Instagram exports share: threads of messages as JSON, in Meta's forms since 2018.
//   .../inbox/<thread>/message_1.json ...   {"participants":[{"name"}],"messages":[{"sender_name","timestamp_ms",
//       "content", "photos", "sticker", "share", "call_duration", "reactions", "is_unsent", ...}],"title",...}
//       newest first, the newest file is message_1; every byte of the UTF-8 text is escaped as one character
//       ("Ã¡" for "á")
//   <name>_<n>.json   of end-to-end encrypted chats: {"participants":["name"],"threadName","messages":[{"senderName",
//       "text","timestamp","type","isUnsent","media","reactions"}]}, with the text as it is
#pragma once

#include <string>
#include <string_view>

#include "conversation/importer.h"

namespace attune {

// Text whose UTF-8 bytes were each escaped as a character, as it was meant; any other text as it is.
std::string undo_latin1(std::string text);

// Whether the beginning of a file is that of a thread.
bool is_meta_thread(std::string_view head);

// One ChatLog for each thread (the files of one folder), with `program` as its format.
Imported read_meta_threads(const ExportFiles& files, const std::set<std::string>& names, const std::string& program);

}  // namespace attune
