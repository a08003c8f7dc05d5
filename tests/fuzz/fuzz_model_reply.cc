// What comes back when a language model is asked, as an endpoint's answer, as the model's own words, and as a line of
// the journal: refused with a BadFile, or values that hold what their headers say.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "synth/completion.h"
#include "synth/duplicates.h"
#include "synth/grounding.h"
#include "synth/journal.h"
#include "synth/model_text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename Action>
void allow_refusal(const Action& action) {
  try {
    action();
  } catch (const attune::BadFile&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  allow_refusal([&] {
    const attune::ModelReply reply = attune::parse_completion(text, {}, "fuzz");
    require(reply.prompt_tokens >= 0 && reply.reply_tokens >= 0);
    attune::parse_exchanges(reply.text);
  });
  allow_refusal([&] {
    const auto [key, reply] = attune::parse_journal_line(text, "fuzz");
    const auto again = attune::parse_journal_line(attune::journal_line(key, reply), "fuzz");
    require(again.first == key && again.second.text == reply.text && again.second.cut == reply.cut);
  });
  require(attune::completion_error(text).find('\n') == std::string::npos);
  const auto score = attune::parse_score(text);
  require(!score || (*score >= 0 && *score <= 10));
  attune::Duplicates duplicates;
  const attune::Source source(text);
  require(!source.missing(text));  // a text says nothing that is not in it
  for (const attune::Exchange& exchange : attune::parse_exchanges(text)) {
    require(!exchange.question.empty() && !exchange.answer.empty());
    require(attune::is_valid_utf8(exchange.question) && attune::is_valid_utf8(exchange.answer));
    duplicates.add(exchange.question, exchange.answer);
    require(duplicates.add(exchange.question, exchange.answer) == attune::Repeats::kQuestion ||
            duplicates.add(exchange.question, exchange.answer) == attune::Repeats::kNearly);
  }
  return 0;
}
