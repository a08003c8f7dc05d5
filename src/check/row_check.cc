#include "check/row_check.h"

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"

namespace attune {
namespace {

struct Description {
  std::string_view name, meaning;
};
constexpr std::array<Description, kProblems> kDescriptions = {{
    {"bad_row", "not a conversation"},
    {"refused", "refused by the chat template"},
    {"double_bos", "BOS twice at the beginning; the chat template writes it more than once"},
    {"untrained_stop", "an answer whose end is not trained on: the model would never learn to stop"},
    {"nothing_trained", "no answer to learn"},
    {"cut", "longer than max_length and cut"},
    {"cut_stop", "cut within an answer, so that its end is not learnt"},
    {"unanswered", "the user's words at the end, which teach nothing"},
    {"special_in_text", "a special token typed in a message; it is encoded as ordinary text"},
    {"unknown_tokens", "characters that the tokenizer does not know"},
    {"repeated", "an earlier conversation again, exactly or nearly"},
    {"leak", "held out, and a conversation that is trained on, exactly or nearly"},
}};

std::size_t index(Problem problem) { return static_cast<std::size_t>(problem); }

// The answers of a row: runs of trained tokens.
std::vector<ByteRange> answers_of(const std::vector<std::uint8_t>& mask) {
  std::vector<ByteRange> answers;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == 0) continue;
    if (answers.empty() || answers.back().end != i) answers.push_back({i, i});
    answers.back().end = i + 1;
  }
  return answers;
}

}  // namespace

std::string_view problem_name(Problem problem) { return kDescriptions[index(problem)].name; }
std::string problem_sentence(Problem problem, std::uint64_t rows) {
  return fmt::format("{}: {}", counted(rows, "conversation"), kDescriptions[index(problem)].meaning);
}
bool is_error(Problem problem) { return problem <= Problem::kUntrainedStop; }

void ProblemCounts::add(Problem problem, const std::string& where) {
  Count& count = of[index(problem)];
  if (count.rows++ < kListed) count.first.push_back(where);
}

std::uint64_t ProblemCounts::errors() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kProblems; ++i) sum += is_error(static_cast<Problem>(i)) ? of[i].rows : 0;
  return sum;
}

std::uint64_t ProblemCounts::warnings() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kProblems; ++i) sum += is_error(static_cast<Problem>(i)) ? 0 : of[i].rows;
  return sum;
}

Json to_json(const ProblemCounts& counts) {
  Json json = Json::object();
  for (std::size_t i = 0; i < kProblems; ++i) {
    if (counts.of[i].rows == 0) continue;
    const auto problem = static_cast<Problem>(i);
    json[std::string(problem_name(problem))] = Json{{"severity", is_error(problem) ? "error" : "warning"},
                                                    {"rows", counts.of[i].rows},
                                                    {"first", counts.of[i].first}};
  }
  return json;
}

ProblemCounts problem_counts_from_json(const Json& value) {
  ProblemCounts counts;
  if (!value.is_object()) throw BadFile("[problems] expected an object");
  for (std::size_t i = 0; i < kProblems; ++i) {
    const auto found = value.find(std::string(kDescriptions[i].name));
    if (found == value.end()) continue;
    const auto rows = json_require<std::int64_t>(*found, "rows", "problems");
    const auto first = found->find("first");
    if (rows < 0 || first == found->end() || !first->is_array()) throw BadFile("[problems] counts that cannot be");
    counts.of[i].rows = static_cast<std::uint64_t>(rows);
    for (const Json& where : *first) {
      if (where.is_string()) counts.of[i].first.push_back(where.get<std::string>());
    }
  }
  return counts;
}

void refuse_errors(const ProblemCounts& counts, const std::string& what) {
  if (counts.errors() == 0) return;
  std::string text;
  for (std::size_t i = 0; i < kProblems; ++i) {
    const auto& count = counts.of[i];
    if (count.rows == 0 || !is_error(static_cast<Problem>(i))) continue;
    std::string rows;
    for (const std::string& where : count.first) rows += (rows.empty() ? "" : ", ") + where;
    text += fmt::format("{}{} ({}{})", text.empty() ? "" : "; ", problem_sentence(static_cast<Problem>(i), count.rows),
                        rows, count.rows > count.first.size() ? ", ..." : "");
  }
  throw UserError("[{}] {}; attune data check shows them", what, text);
}

RowCheck::RowCheck(const ChatTemplate& chat_template, const Tokenizer& tokenizer, std::int64_t max_length)
    : tokenizer_(tokenizer), max_length_(max_length), stops_(stop_tokens(chat_template, tokenizer)) {
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_special(id)) continue;
    std::string text = tokenizer.decode({id}, false);
    if (text.size() > 2) specials_.push_back(std::move(text));
  }
}

void RowCheck::check(const Conversation& conversation, const EncodedConversation& row, const std::string& where,
                     ProblemCounts& counts) const {
  const auto length = static_cast<std::int64_t>(row.tokens.size());
  const auto is_stop = [&](TokenId id) { return std::find(stops_.begin(), stops_.end(), id) != stops_.end(); };
  if (tokenizer_.bos && length >= 2 && row.tokens[0] == *tokenizer_.bos && row.tokens[1] == *tokenizer_.bos) {
    counts.add(Problem::kDoubleBos, where);
  }
  const std::vector<ByteRange> answers = answers_of(row.mask);
  if (answers.empty()) counts.add(Problem::kNothingTrained, where);
  const bool stopless = std::any_of(answers.begin(), answers.end(), [&](const ByteRange& answer) {
    const auto begin = row.tokens.begin() + static_cast<std::ptrdiff_t>(answer.begin);
    const auto end = row.tokens.begin() + static_cast<std::ptrdiff_t>(answer.end);
    return std::none_of(begin, end, is_stop);
  });
  if (stopless) counts.add(Problem::kUntrainedStop, where);
  if (length > max_length_) {
    counts.add(Problem::kCut, where);
    const auto limit = static_cast<std::size_t>(max_length_);
    const bool within = std::any_of(answers.begin(), answers.end(),
                                    [&](const ByteRange& a) { return a.begin < limit && a.end > limit; });
    if (within) counts.add(Problem::kCutStop, where);
  }
  if (!conversation.messages.empty() && conversation.messages.back().role == "user") {
    counts.add(Problem::kUnanswered, where);
  }
  const bool typed =
      std::any_of(conversation.messages.begin(), conversation.messages.end(), [&](const Message& message) {
        return message.content.find_first_of("<[|") != std::string::npos &&
               std::any_of(specials_.begin(), specials_.end(), [&](const std::string& special) {
                 return message.content.find(special) != std::string::npos;
               });
      });
  if (typed) counts.add(Problem::kSpecialInText, where);
  if (tokenizer_.unknown && std::find(row.tokens.begin(), row.tokens.end(), *tokenizer_.unknown) != row.tokens.end()) {
    counts.add(Problem::kUnknownTokens, where);
  }
}

}  // namespace attune
