// What tuning cost: how much less likely general text and right answers to general questions have become.
#include <algorithm>
#include <cmath>

#include "eval/choices.h"
#include "eval/measures.h"
#include "token/encode.h"

namespace attune {
namespace {

// The passages as plain text, without a chat template: every token is a target. A long passage becomes several rows.
TokenizedDataset text_rows(const Subject& subject) {
  const std::string& text = subject.request.general_text;
  std::vector<std::string_view> passages;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find("\n\n", begin), text.size());
    const std::string_view passage = std::string_view(text).substr(begin, end - begin);
    if (passage.find_first_not_of(" \t\r\n") != passage.npos) passages.push_back(passage);
    begin = end + 2;
  }
  const Tokenizer& tokenizer = *subject.tokenizer;
  const auto longest = static_cast<std::size_t>(subject.scorer->row_tokens());
  TokenizedDataset rows = make_tokenized_dataset();
  for (const std::size_t i : evenly(passages.size(), subject.request.limit)) {
    std::vector<TokenId> tokens = tokenizer.encode(passages[i]);
    if (tokenizer.bos && tokenizer.add_bos) tokens.insert(tokens.begin(), *tokenizer.bos);
    for (std::size_t begin = 0; begin < tokens.size(); begin += longest) {
      const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(begin);
      const std::vector<TokenId> part(from,
                                      from + static_cast<std::ptrdiff_t>(std::min(longest, tokens.size() - begin)));
      append_row(rows, {part, std::vector<std::uint8_t>(part.size(), 1)}, subject.scorer->row_tokens());
    }
  }
  return rows;
}

// Loss of both voices, its increase and the KL; of the base alone without a tuned voice.
Json compare_on(Subject& subject, const TokenizedDataset& rows, const std::string& what) {
  const Voice& base = subject.voices.front();
  Json json = {{"tokens", rows.trained_tokens()}};
  if (!subject.is_tuned()) {
    json["base"] = {{"loss", number_or_null(mean_loss(subject.scorer->loss(base.model, rows, what)))}};
    return json;
  }
  const Divergence d = subject.scorer->compare(base.model, subject.best().model, rows, what);
  json["base"] = {{"loss", number_or_null(mean_loss(d.reference))}};
  json["tuned"] = {{"loss", number_or_null(mean_loss(d.other))}, {"kl", number_or_null(d.kl)}};
  json["loss_increase"] = number_or_null(loss_increase(d.reference, d.other));
  return json;
}

}  // namespace

Json measure_forgetting(Subject& subject) {
  const EvalRequest& request = subject.request;
  Json json = {{"budget", request.budget}};
  if (const TokenizedDataset rows = text_rows(subject); rows.rows() > 0) {
    json["text"] = compare_on(subject, rows, "general text");
  }
  std::vector<const Check*> questions;
  for (const std::size_t i : evenly(request.general_questions.size(), request.limit)) {
    questions.push_back(&request.general_questions[i]);
  }
  if (!questions.empty()) {
    Json part = compare_on(subject, right_answers(subject, questions), "general answers");
    for (const Voice& voice : subject.voices) {
      const ChoiceResults results = choose_by_loss(subject, voice, questions, "general questions, " + voice.name);
      part[voice.name]["right"] =
          static_cast<double>(std::ranges::count(results.right, true)) / static_cast<double>(questions.size());
    }
    part["questions"] = questions.size();
    json["questions"] = std::move(part);
  }
  double worst = -1;
  for (const char* part : {"text", "questions"}) {
    if (!json.contains(part)) continue;
    const Json increase = json[part].value("loss_increase", Json());
    if (increase.is_number()) worst = std::max(worst, increase.get<double>());
  }
  if (worst > -1) {
    json["loss_increase"] = worst;  // of the two
    json["within_budget"] = worst <= request.budget;
  }
  return json.contains("text") || json.contains("questions") ? json : Json(nullptr);
}

}  // namespace attune
