// The header of a token cache: whatever it says is refused or describes exactly the bytes that are there.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "batch/token_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace attune;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    (void)read_cache_tail(text);
  } catch (const BadFile&) {
  }
  // The header alone, with a payload of every size that a short file can have: a checksum stops few fuzzers from the inside.
  for (const std::uint64_t payload : {std::uint64_t{16}, std::uint64_t{40}, std::uint64_t{size}}) {
    try {
      const CacheHeader header = read_cache_header(text, payload);
      if (part_bytes(header.train) + part_bytes(header.valid) != payload) std::abort();
      if (header.train.rows < 0 || header.valid.tokens < 0) std::abort();
    } catch (const BadFile&) {
    }
  }
  return 0;
}
