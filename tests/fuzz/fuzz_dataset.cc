// Training data from outside: any bytes are either refused with a UserError or give conversations that their own JSON
// gives again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "conversation/dataset.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    attune::for_each_conversation(
        std::string_view(reinterpret_cast<const char*>(data), size), "fuzz", [](attune::Conversation&& conversation) {
          const attune::Json json = attune::to_json(conversation);
          const auto text = attune::to_json_line(json);
          const auto again = attune::conversation_from_json(attune::parse_json(text, "again"), "again");
          if (!(again == conversation)) std::abort();
        });
  } catch (const attune::UserError&) {
  }
  return 0;
}
