// Threads of Messenger and Instagram from outside.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("messenger", "message_1.json", data, size);
}
