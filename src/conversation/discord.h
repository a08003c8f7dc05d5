// Discord through DiscordChatExporter, as JSON or CSV; one file for each channel.
//   JSON  {"guild":{"name"},"channel":{"id","type","name"},"messages":[{"id","type","timestamp","timestampEdited",
//         "content","author":{"id","name","nickname","isBot"},"attachments","embeds","stickers","mentions"}]}
//   CSV   AuthorID,Author,Date,Content,Attachments,Reactions
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kDiscord;

}  // namespace attune
