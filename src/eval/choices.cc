#include "eval/choices.h"

#include <algorithm>

namespace attune {

TokenizedDataset right_answers(const Subject& subject, std::span<const Check* const> checks) {
  TokenizedDataset rows = make_tokenized_dataset();
  for (const Check* check : checks) {
    append_row(rows, subject.answer_row(check->messages, check->texts[check->right], check->where),
               subject.scorer->row_tokens());
  }
  return rows;
}

ChoiceResults choose_by_loss(Subject& subject, const Voice& voice, std::span<const Check* const> checks,
                             std::string_view what) {
  if (checks.empty()) return {};
  TokenizedDataset rows = make_tokenized_dataset();
  for (const Check* check : checks) {
    for (const std::string& choice : check->texts) {
      append_row(rows, subject.answer_row(check->messages, choice, check->where), subject.scorer->row_tokens());
    }
  }
  const std::vector<RowScores> scores = subject.scorer->scores(voice.model, rows, what);
  ChoiceResults results;
  std::size_t row = 0;
  for (const Check* check : checks) {
    std::vector<double> losses;
    for (std::size_t c = 0; c < check->texts.size(); ++c, ++row) {
      double sum = 0;
      for (const TokenScore& token : scores[row]) sum += token.loss;
      losses.push_back(sum);
      if (c == check->right) {
        results.loss.sum += sum;
        results.loss.tokens += std::ssize(scores[row]);
      }
    }
    const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
    results.right.push_back(static_cast<std::size_t>(best) == check->right);
  }
  return results;
}

}  // namespace attune
