// The body of an HTTP request: any bytes are either refused with a 400 or give a request within the promised limits; and
// stop strings cut a text at the same place however it is split.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serve/api_error.h"
#include "serve/api_request.h"
#include "serve/stop_text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_stops(const attune::ApiRequest& request, std::string_view text) {
  attune::StopText whole(request.stop), bytewise(request.stop);
  std::string at_once = whole.push(text), in_pieces;
  for (const char byte : text) in_pieces += bytewise.push({&byte, 1});
  at_once += whole.finish();
  in_pieces += bytewise.finish();
  // Split differently, a text may be cut at a stop that ends earlier instead of one that begins earlier.
  require(whole.stopped() == bytewise.stopped());
  if (!whole.stopped()) require(at_once == in_pieces && at_once == text);
}

void check(const attune::ApiRequest& request, std::string_view text) {
  require(request.sampler.temperature >= 0 && request.sampler.temperature <= 2);
  require(request.sampler.top_p > 0 && request.sampler.top_p <= 1);
  require(request.max_tokens.value_or(1) >= 1);
  require(request.top_logprobs.value_or(0) >= 0 && request.top_logprobs.value_or(0) <= 20);
  check_stops(request, text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const bool chat : {true, false}) {
    try {
      check(chat ? attune::parse_chat_request(body) : attune::parse_completion_request(body), body);
    } catch (const attune::ApiError& error) {
      require(error.status == 400 && !error.body().empty());
    }
  }
  return 0;
}
