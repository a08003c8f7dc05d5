// iMessage databases from outside: damaged SQLite, typedstreams cut anywhere.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("imessage", "chat.db", data, size);
}
