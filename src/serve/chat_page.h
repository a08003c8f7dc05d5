// The chat page, src/serve/chat_page.html, built into the program.
#pragma once

#include <string_view>

namespace attune {

std::string_view chat_page();  // UTF-8 HTML; wants its Content-Security-Policy's nonce in place of {{nonce}}

}  // namespace attune
