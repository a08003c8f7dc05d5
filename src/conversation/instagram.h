// Instagram: "Download your information" as JSON. The messages have Messenger's form (meta_thread.h); what tells them
// apart is the folder they lie in, and keys that only Instagram writes or leaves out.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kInstagram;

}  // namespace attune
