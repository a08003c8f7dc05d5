// The CSV form of DiscordChatExporter (discord.h).
#pragma once

#include <string_view>

#include "conversation/importer.h"

namespace attune {

bool is_discord_csv(std::string_view head);

// BadFile when a row is broken or has no valid date.
ChatLog read_discord_csv(ExportText& text, DateOrder order);

}  // namespace attune
