// Tables from outside, CSV and JSON lines.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("table", "chat.csv", data, size);
}
