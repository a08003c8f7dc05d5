// Files whose rows are conversations already (dataset.h): OpenAI messages, ShareGPT, Alpaca, prompt and completion, as
// JSON lines or one JSON list. They pass through an import as they are, checked, so that they can be mixed with chats
// and divided into training and held-out parts.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kReadyRows;

}  // namespace attune
