// Header fields and URLs as a server sends them: anything may come, and nothing of it may crash, wait for ever or lead to
// another scheme than http(s).
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/header_fields.h"
#include "http/url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto next = attune::next_link(text); next && next->find('>') != std::string::npos) std::abort();
  for (const char* const name : {"Retry-After", "RateLimit"}) {
    const auto wait = attune::asked_wait({{name, text}}, 1e9);
    if (wait && !(*wait >= 0 && *wait <= 86400)) std::abort();
  }
  if (const auto joined = attune::join_url("https://hub.example/a/b", text); joined && !joined->starts_with("http"))
    std::abort();
  attune::is_relative_url(text);
  if (attune::shown_url(text).find('?') != std::string::npos) std::abort();
  if (attune::percent_encode(text, "/").size() > 3 * size) std::abort();
  return 0;
}
