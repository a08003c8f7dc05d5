// What Signal's tools write, JSON and text, from outside.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("signal", "chat.md", data, size);
}
