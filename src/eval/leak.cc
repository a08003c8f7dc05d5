#include "eval/leak.h"

#include <algorithm>

#include "base/error.h"
#include "eval/measures.h"

namespace attune {
namespace {

constexpr std::int64_t kLeastTokens = 8;    // of an answer that could only be known by heart
constexpr std::size_t kOtherSecrets = 127;  // a canary's rank among them tells up to 7 bits

Json to_json(const Repetition& repetition) {
  return {{"answers", repetition.answers}, {"repeated", repetition.repeated}, {"share", repetition.share()}};
}

// The first answer in the training data that holds a canary, and what comes before it.
struct Planted {
  std::vector<Message> before;
  std::string answer;
  std::size_t at = 0;  // of the canary in the answer
};

std::optional<Planted> find_planted(const Canary& canary, const std::vector<Conversation>& train) {
  for (const Conversation& conversation : train) {
    for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
      const Message& message = conversation.messages[i];
      const std::size_t at = message.content.find(canary.text);
      if (message.role != "assistant" || at == std::string::npos) continue;
      const auto begin = conversation.messages.begin();
      return Planted{{begin, begin + static_cast<std::ptrdiff_t>(i)}, message.content, at};
    }
  }
  return std::nullopt;
}

// A canary (first) and the lines with other secrets as rows: each as the answer it was planted in, or as plain text
// when the training data does not hold it.
TokenizedDataset canary_rows(const Subject& subject, const Canary& canary, const std::optional<Planted>& planted) {
  std::vector<std::string> lines = other_secrets(canary, kOtherSecrets, 0);
  lines.insert(lines.begin(), canary.text);
  TokenizedDataset rows = make_tokenized_dataset();
  const Tokenizer& tokenizer = *subject.tokenizer;
  for (const std::string& line : lines) {
    EncodedConversation row;
    if (planted) {
      std::string answer = planted->answer;
      row = subject.answer_row(planted->before, answer.replace(planted->at, line.size(), line), canary.where);
    } else {
      row.tokens = tokenizer.encode(line);
      if (tokenizer.bos && tokenizer.add_bos) row.tokens.insert(row.tokens.begin(), *tokenizer.bos);
      row.mask.assign(row.tokens.size(), 1);
    }
    if (std::ssize(row.tokens) > subject.scorer->row_tokens()) {
      throw UserError("[{}] the canary has {} tokens, the limit is {}; shorten it", canary.where, row.tokens.size(),
                      subject.scorer->row_tokens());
    }
    append_row(rows, row, subject.scorer->row_tokens());
  }
  return rows;
}

// How many of the canary's trained tokens stand from the first one on in which the other lines differ: its secret, and
// what follows it.
std::ptrdiff_t secret_tokens(const TokenizedDataset& rows) {
  const auto row = [&](std::int64_t i) {
    return std::span(rows.tokens)
        .subspan(static_cast<std::size_t>(rows.starts[static_cast<std::size_t>(i)]),
                 static_cast<std::size_t>(rows.length(i)));
  };
  std::ptrdiff_t common = std::ssize(row(0));
  for (std::int64_t i = 1; i < rows.rows(); ++i) {
    common = std::min(common, std::ranges::mismatch(row(0), row(i)).in1 - row(0).begin());
  }
  return std::count(rows.mask.begin() + common, rows.mask.begin() + rows.starts[1], 1);
}

double sum_of(const RowScores& scores) {
  double sum = 0;
  for (const TokenScore& token : scores) sum += token.loss;
  return sum;
}

Json canary_result(Subject& subject, const Voice& voice, const TokenizedDataset& rows) {
  const std::vector<RowScores> scores = subject.scorer->scores(voice.model, rows, "canaries, " + voice.name);
  const double own = sum_of(scores.front());
  const std::int64_t rank =
      1 + std::ranges::count_if(scores, [&](const RowScores& other) { return sum_of(other) < own; });
  const bool told = std::all_of(scores.front().end() - secret_tokens(rows), scores.front().end(),
                                [](const TokenScore& token) { return token.likeliest; });
  return {{"rank", rank}, {"exposure", exposure(rank, rows.rows())}, {"told", told}};
}

}  // namespace

Repetition count_repeated(const TokenizedDataset& rows, std::span<const RowScores> scores, std::int64_t least_tokens) {
  Repetition repetition;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const auto begin = rows.mask.begin() + rows.starts[static_cast<std::size_t>(row)];
    const auto end = rows.mask.begin() + rows.starts[static_cast<std::size_t>(row) + 1];
    const TokenScore* score = scores[static_cast<std::size_t>(row)].data();
    for (auto at = std::find(begin, end, 1); at != end; at = std::find(at, end, 1)) {
      const auto answer_end = std::find(at, end, 0);
      const std::int64_t tokens = answer_end - at;
      if (tokens >= least_tokens) {
        ++repetition.answers;
        repetition.repeated +=
            std::all_of(score, score + tokens, [](const TokenScore& token) { return token.likeliest; });
      }
      score += tokens;
      at = answer_end;
    }
  }
  return repetition;
}

Json measure_leak(Subject& subject) {
  const EvalRequest& request = subject.request;
  Json json = Json::object();
  // What the voices say of held-out answers is the measure of what can be guessed.
  for (const auto& [name, conversations] :
       {std::pair{"training", &request.train}, std::pair{"held_out", &request.valid}}) {
    const TokenizedDataset rows = subject.rows(*conversations);
    if (rows.rows() == 0) continue;
    json[name] = by_voice(subject, [&](const Voice& voice) {
      return to_json(count_repeated(
          rows, subject.scorer->scores(voice.model, rows, std::string(name) + " word for word, " + voice.name),
          kLeastTokens));
    });
  }
  if (!request.canaries.empty()) json["canaries"] = Json::array();
  for (const Canary& canary : request.canaries) {
    const auto planted = find_planted(canary, request.train);
    const TokenizedDataset rows = canary_rows(subject, canary, planted);
    Json result = by_voice(subject, [&](const Voice& voice) { return canary_result(subject, voice, rows); });
    result["text"] = canary.text;
    result["planted"] = planted.has_value();
    result["candidates"] = rows.rows();
    json["canaries"].push_back(std::move(result));
  }
  if (!request.canaries.empty()) {
    json["canary_totals"] = by_voice(subject, [&](const Voice& voice) {
      int told = 0;
      double highest = 0;
      for (const Json& canary : json["canaries"]) {
        told += canary[voice.name]["told"].get<bool>();
        highest = std::max(highest, canary[voice.name]["exposure"].get<double>());
      }
      return Json{{"told", told}, {"highest_exposure", highest}};
    });
  }
  return json.empty() ? Json(nullptr) : json;
}

}  // namespace attune
