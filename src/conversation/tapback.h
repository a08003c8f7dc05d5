// Tapbacks that arrive as text: a phone that does not know them gets "Liked “the message”" instead.
#pragma once

#include <string_view>

namespace attune {

// Whether the whole text is such a sentence: Liked, Loved, Disliked, Laughed at, Emphasized, Questioned, "Reacted 👋 to", or
// "Removed a heart from", and the message in curly quotes.
bool is_tapback_text(std::string_view text);

}  // namespace attune
