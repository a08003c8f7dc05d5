// The user's questions and canaries for `attune eval`: any bytes are either refused with a UserError or give checks
// that can be judged and canaries whose secret lies within them.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "eval/canary.h"
#include "eval/checks.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_one(const attune::Check& check, std::string_view answer) {
  require(!check.messages.empty() && check.messages.back().role == "user");
  if (check.kind == attune::Check::Kind::kChoices) {
    require(check.texts.size() >= 2 && check.right < check.texts.size());
    return;
  }
  attune::is_right(check, answer);
  if (check.kind == attune::Check::Kind::kEquals) require(attune::is_right(check, check.texts.front()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    for (const attune::Check& check : attune::parse_checks(text, "fuzz")) check_one(check, text);
  } catch (const attune::UserError&) {
  }
  try {
    for (const attune::Canary& canary : attune::parse_canaries(text, "fuzz")) {
      require(!canary.secret.empty() && canary.secret.back() < canary.text.size());
      for (const std::string& line : attune::other_secrets(canary, 3, 1)) require(line.size() == canary.text.size());
    }
  } catch (const attune::UserError&) {
  }
  return 0;
}
