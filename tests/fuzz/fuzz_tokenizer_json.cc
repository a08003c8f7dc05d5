// tokenizer.json from outside: loads or throws UserError, and what loads encodes and decodes without a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "token/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace attune;
  try {
    const auto tokenizer = make_json_tokenizer({reinterpret_cast<const char*>(data), size}, {}, "fuzz");
    const auto ids = tokenizer->encode("Hello <s> w\xC3\xB6rld's  \n 123 \xF0\x9F\x98\x80 \xFF ab");
    tokenizer->decode(ids, true);
    tokenizer->decode(ids, false);
    for (const TokenId id : ids) tokenizer->token_bytes(id);
  } catch (const UserError&) {
  }
  return 0;
}
