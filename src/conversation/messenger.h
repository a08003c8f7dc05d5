// Facebook Messenger: "Download your information" as JSON (a zip archive, its folder, or single files), from accounts
// and from end-to-end encrypted chats. The form is that of meta_thread.h.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kMessenger;

}  // namespace attune
