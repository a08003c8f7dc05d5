// Tables of messages: CSV with a heading (comma, semicolon or tab), or JSON lines, with a column each for the time, the
// sender and the text, and perhaps the chat. Columns are found by their usual names in several languages, or named:
// --columns time=Sent,sender=From,text=Body. Without a time the order of the rows is the time, a second each.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kTable;

// "time=Sent,sender=From" as a map. UserError when a part is no such pair or names no known column.
std::map<std::string, std::string> parse_columns(const std::string& text);

}  // namespace attune
