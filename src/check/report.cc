#include "check/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/progress.h"
#include "check/report_wording.h"

namespace attune {
namespace {

constexpr int kBar = 40;  // characters

// A bar in eighths of a character.
std::string bar(double share) {
  static constexpr std::array<std::string_view, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = std::max(share > 0 ? 1 : 0, static_cast<int>(share * kBar * 8 + 0.5));
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  return text + std::string(kEighths[static_cast<std::size_t>(eighths % 8)]);
}

}  // namespace

std::string check_text(const DataCheck& check, const CheckContext& context) {
  std::string text;
  const auto line = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{:<11}{}\n", name, value);
  };
  const LengthSummary& l = check.lengths;
  line("data", fmt::format("{}: {} to learn from, {} held out", context.data, counted(check.train, "conversation"),
                           with_commas(check.valid)));
  line("tokenizer", fmt::format("{}: vocabulary {}; a turn ends with {}", context.model,
                                with_commas(context.vocabulary), context.stops));
  line("length", length_sentence(l));
  for (const auto& bin : l.histogram) {
    const double share = static_cast<double>(bin.rows) / static_cast<double>(tallest(l));
    text += fmt::format("{:>13}{}\n", range_of(bin),
                        bin.rows > 0 ? fmt::format("  {} {}", bar(share), with_commas(bin.rows)) : "");
  }
  line("an epoch", epoch_sentence(check));
  line("steps", fmt::format("{} with {}", with_commas(context.steps), context.recipe));
  line("max_length", cut_sentence(check));
  for (const LanguageShare& share : check.languages) {
    line(&share == &check.languages.front() ? "language" : "",
         fmt::format("{}: {}", share.language, language_sentence(share)));
  }
  if (check.problems.errors() + check.problems.warnings() == 0) line("problems", "none");
  for (std::size_t i = 0; i < kProblems; ++i) {
    const auto& count = check.problems.of[i];
    if (count.rows == 0) continue;
    const auto problem = static_cast<Problem>(i);
    line(is_error(problem) ? "ERROR" : "warning", problem_sentence(problem, count.rows));
    for (const std::string& where : count.first) text += fmt::format("{:<11}  {}\n", "", where);
    if (count.rows > count.first.size())
      text += fmt::format("{:<11}  and {} more\n", "", with_commas(count.rows - count.first.size()));
  }
  return text;
}

}  // namespace attune
