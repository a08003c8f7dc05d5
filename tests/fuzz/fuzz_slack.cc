// Days of a Slack channel from outside, with Slack's own marks in their texts.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("slack", "2024-01-15.json", data, size);
}
