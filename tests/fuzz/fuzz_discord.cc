// Discord exports from outside, JSON and CSV.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("discord", "general.json", data, size);
}
