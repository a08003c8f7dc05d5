// SMS backups from outside: XML with halves of characters.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("sms", "sms.xml", data, size);
}
