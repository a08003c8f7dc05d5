// Mail from outside: mbox, MIME, charsets, quotations.
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return attune::fuzz_importer("mail", "Inbox", data, size);
}
