// Telegram Desktop: "Export chat history" (one chat) and "Export Telegram data" (all of them) as JSON, result.json.
//   {"name","type","id","messages":[...]}
//   {"chats":{"list":[{"name","type","id","messages"}]},"left_chats":{"list":[...]}, ...}
//   message  {"id","type":"message"|"service","date","date_unixtime","from","from_id","text",
//             "edited","forwarded_from","media_type","photo","file","contact_information","location_information",
//             "poll","via_bot","action", ...}
//   text     a string, or a list of strings and {"type","text"}
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kTelegram;

}  // namespace attune
