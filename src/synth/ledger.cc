#include "synth/synth.h"

namespace attune {
namespace {

struct Name {
  const char *name, *explained;
};
constexpr std::array<Name, kUnfitReasons> kUnfitNames = {
    {{"ungrounded", "say what is not in their chunk"},
     {"low score", "below the judge's threshold"},
     {"same question", "ask what another one asks"},
     {"nearly the same", "share most of their words with another"}}};

}  // namespace

Json to_json(const SynthLedger& ledger) {
  Json unfit = Json::object();
  for (std::size_t i = 0; i < kUnfitReasons; ++i) unfit[kUnfitNames[i].name] = ledger.unfit[i];
  return Json{
      {"documents", Json{{"read", ledger.documents}, {"ignored", ledger.ignored}, {"unreadable", ledger.unreadable}}},
      {"chunks", Json{{"all", ledger.chunks},
                      {"answered", ledger.answered},
                      {"no_json", ledger.no_json},
                      {"failed", ledger.failed},
                      {"not_asked", ledger.not_asked}}},
      {"conversations", Json{{"written", ledger.conversations}, {"train", ledger.train}, {"valid", ledger.valid}}},
      {"dropped", std::move(unfit)},
      {"calls", ledger.totals.calls},
      {"prompt_tokens", ledger.totals.prompt_tokens},
      {"reply_tokens", ledger.totals.reply_tokens},
      {"estimated_calls", ledger.totals.estimated},
      {"cost", ledger.cost},
      {"model", ledger.model},
      {"judge", ledger.judge},
      {"prompts", ledger.prompts},
      {"train_sha256", ledger.train_digest}};
}

std::string to_text(const SynthLedger& ledger) {
  std::string text = "Ledger\n";
  const auto row = [&](std::string_view name, std::uint64_t count, std::string_view note) {
    text += fmt::format("  {:<18}{:>9}{}{}\n", name, count, note.empty() ? "" : "  ", note);
  };
  const auto row_if_any = [&](std::string_view name, std::uint64_t count, std::string_view note) {
    if (count > 0) row(name, count, note);
  };
  row("documents", ledger.documents, "");
  row_if_any("  ignored", ledger.ignored, "files of other types");
  row_if_any("  unreadable", ledger.unreadable, "damaged, encrypted or without words");
  row("chunks", ledger.chunks, "");
  row("  answered", ledger.answered, "");
  row_if_any("  no JSON", ledger.no_json, "the model did not write what it was asked for");
  row_if_any("  failed", ledger.failed, "the same command again asks for them");
  row_if_any("  not asked", ledger.not_asked, "--max-cost was reached");
  row("conversations", ledger.conversations, "");
  for (std::size_t i = 0; i < kUnfitReasons; ++i) {
    row_if_any(fmt::format("- {}", kUnfitNames[i].name), ledger.unfit[i], kUnfitNames[i].explained);
  }
  row("= kept", ledger.train + ledger.valid, fmt::format("{} to train, {} held out", ledger.train, ledger.valid));
  const JournalTotals& totals = ledger.totals;
  row("calls", static_cast<std::uint64_t>(totals.calls),
      fmt::format("{} tokens in, {} out{}", totals.prompt_tokens, totals.reply_tokens,
                  totals.estimated > 0 ? fmt::format(" ({} calls estimated)", totals.estimated) : ""));
  if (ledger.cost > 0) text += fmt::format("  {:<18}{:>9.4f}\n", "cost", ledger.cost);
  if (!ledger.last_failure.empty()) text += fmt::format("Last failure: {}\n", ledger.last_failure);
  return text;
}

}  // namespace attune
