#include "check/report_wording.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/progress.h"
#include "check/language.h"

namespace attune {

std::string range_of(const LengthSummary::Bin& bin) {
  return fmt::format("{}-{}", with_commas(bin.first), with_commas(bin.last));
}

std::uint64_t tallest(const LengthSummary& lengths) {
  std::uint64_t most = 1;
  for (const auto& bin : lengths.histogram) most = std::max(most, bin.rows);
  return most;
}

std::string epoch_sentence(const DataCheck& check) {
  const double share =
      check.tokens == 0 ? 0 : 100 * static_cast<double>(check.trained_tokens) / static_cast<double>(check.tokens);
  return fmt::format("{} tokens, {} of them trained on ({:.1f}%)", with_commas(check.tokens),
                     with_commas(check.trained_tokens), share);
}

std::string length_sentence(const LengthSummary& l) {
  return fmt::format("median {}, mean {:.1f}, longest {} tokens; 90% have up to {}, 95% {}, 99% {}",
                     with_commas(l.median), l.mean, with_commas(l.longest), with_commas(l.p90), with_commas(l.p95),
                     with_commas(l.p99));
}

std::string cut_sentence(const DataCheck& check) {
  const std::uint64_t rows = check.problems.of[static_cast<std::size_t>(Problem::kCut)].rows;
  const std::int64_t suggested = suggested_max_length(check.lengths);
  if (rows == 0) {
    return fmt::format("{}: nothing is cut{}", with_commas(check.max_length),
                       suggested < check.max_length ? fmt::format("; {} would be enough", with_commas(suggested)) : "");
  }
  return fmt::format("{}: {} cut; {} tokens, {} of them answers, are not learnt; suggested: {}",
                     with_commas(check.max_length), counted(rows, "conversation"), with_commas(check.cut_tokens),
                     with_commas(check.cut_trained_tokens), with_commas(suggested));
}

std::string language_sentence(const LanguageShare& share) {
  std::string text = fmt::format("{}, {:.2f} characters per token", counted(share.conversations, "conversation"),
                                 share.characters_per_token());
  if (share.poor()) {
    text += fmt::format(
        "; this tokenizer is poor at {} (good is {:.1f} and more): rows are long, and the model has seen "
        "little of it",
        share.language, poor_below(share.language));
  }
  return text;
}

}  // namespace attune
