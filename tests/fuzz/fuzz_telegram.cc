// Telegram's result.json from outside, and the stream of JSON under it.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("telegram", "result.json", data, size);
}
