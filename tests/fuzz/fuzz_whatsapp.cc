// WhatsApp's texts from outside, read without looking at what they are: no more entries than lines.
#include "conversation/whatsapp.h"
#include "import_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  attune::ChatLog log;
  try {
    log = attune::parse_whatsapp({reinterpret_cast<const char*>(data), size}, "fuzz", {});
  } catch (const attune::UserError&) {
    return 0;
  }
  attune::require(log.entries <= log.lines);
  attune::check_log(log);
  return 0;
}
