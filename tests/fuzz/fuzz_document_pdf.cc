// Any bytes as a PDF: refused with a UserError, or a document whose chunks are sound.
#include <cstdint>
#include <string_view>

#include "document_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_document([&] { return attune::pdf_blocks(bytes, "fuzz"); });
  return 0;
}
