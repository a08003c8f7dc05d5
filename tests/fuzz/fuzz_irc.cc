// IRC logs from outside.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("irc", "chan.log", data, size);
}
