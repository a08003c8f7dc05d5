// WhatsApp exports ("Export chat"): a .txt file, a .zip with one and media, or a folder of them, from Android
// or iPhone in any language. Media files are never opened.
#pragma once

#include <string_view>

#include "conversation/importer.h"

namespace attune {

extern const Importer kWhatsApp;

// One export's text (any encoding of Unicode with a byte order mark, or UTF-8; CRLF or LF) as a ChatLog.
// `source` names it in the log and in errors. Throws BadFile when no line begins with a date and a time.
ChatLog parse_whatsapp(std::string_view bytes, const std::string& source, const ReadOptions& options);

}  // namespace attune
