// Threads of Instagram from outside: Messenger's form, in a folder of its own and with keys missing.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("instagram", "your_instagram_activity/messages/inbox/reka_1/message_1.json", data, size);
}
