// The user's own questions: which of the answers are right.
#include <algorithm>

#include "base/error.h"
#include "eval/choices.h"
#include "eval/measures.h"
#include "generate/answers.h"
#include "token/encode.h"

namespace attune {
namespace {

std::vector<TokenId> prompt_of(const Subject& subject, const Check& check) {
  std::vector<TokenId> prompt = encode_prompt(check.messages, *subject.chat_template, *subject.tokenizer);
  const std::int64_t room = subject.voices.front().model.config.max_position - subject.request.max_tokens;
  if (std::ssize(prompt) > room) {
    throw UserError(
        "[{}] the prompt has {} tokens, and with {} for the answer the limit is {}; shorten it or lower "
        "--max-tokens",
        check.where, prompt.size(), subject.request.max_tokens, room);
  }
  return prompt;
}

// Of one voice: for every check whether it is right, and what was said (nothing for choices).
struct Outcome {
  std::vector<bool> right;
  std::vector<std::string> said;
};

Outcome try_all(Subject& subject, const Voice& voice) {
  const EvalRequest& request = subject.request;
  std::vector<const Check*> choices;
  std::vector<std::vector<TokenId>> prompts;
  for (const Check& check : request.checks) {
    if (check.kind == Check::Kind::kChoices) {
      choices.push_back(&check);
    } else {
      prompts.push_back(prompt_of(subject, check));
    }
  }
  const ChoiceResults chosen = choose_by_loss(subject, voice, choices, "choices, " + voice.name);
  SamplerOptions greedy;
  greedy.temperature = 0;
  const auto answers =
      answer_all(voice.model, *subject.tokenizer, subject.stops, prompts, {greedy, request.max_tokens, request.act},
                 request.watch.counting("checks, " + voice.name, prompts.size()));
  Outcome outcome;
  auto choice = chosen.right.begin();
  auto answer = answers.begin();
  for (const Check& check : request.checks) {
    const bool by_loss = check.kind == Check::Kind::kChoices;
    outcome.right.push_back(by_loss ? *choice++ : is_right(check, answer->text));
    outcome.said.push_back(by_loss ? "" : (answer++)->text);
  }
  return outcome;
}

}  // namespace

Json measure_checks(Subject& subject) {
  const std::vector<Check>& checks = subject.request.checks;
  if (checks.empty()) return nullptr;
  Json json = Json::object();
  Json rows = Json::array();
  for (const Check& check : checks) {
    rows.push_back({{"row", check.where}, {"kind", name_of(check.kind)}});
    Json& kind = json["kinds"][name_of(check.kind)];
    if (kind.is_null()) kind = {{"count", 0}};
    kind["count"] = kind["count"].get<int>() + 1;
  }
  json["count"] = checks.size();
  for (const Voice& voice : subject.voices) {
    const Outcome outcome = try_all(subject, voice);
    json[voice.name] = {{"right", std::ranges::count(outcome.right, true)}};
    for (std::size_t i = 0; i < checks.size(); ++i) {
      Json& kind = json["kinds"][name_of(checks[i].kind)];
      kind[voice.name] = kind.value(voice.name, 0) + (outcome.right[i] ? 1 : 0);
      rows[i][voice.name] = {{"right", outcome.right[i]}, {"answer", outcome.said[i]}};
      if (checks[i].kind == Check::Kind::kChoices) rows[i][voice.name].erase("answer");
    }
  }
  json["rows"] = std::move(rows);
  return json;
}

}  // namespace attune
