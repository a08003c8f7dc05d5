// What is wrong with a row of training data once it is tokens, and how often.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "conversation/conversation.h"
#include "token/encode.h"

namespace attune {

// Errors first: training refuses them. The others are warnings.
enum class Problem {
  kBadRow,          // not a conversation: JSON, roles and their order, an empty message
  kRefused,         // the chat template cannot render it
  kDoubleBos,       // begins with BOS twice: the model has never seen that
  kUntrainedStop,   // an answer whose end is not trained on: the model would learn never to stop
  kNothingTrained,  // no answer in it
  kCut,             // longer than max_length
  kCutStop,         // cut within an answer, so that this answer's end is not learnt
  kUnanswered,      // ends with the user's words, which teach nothing
  kSpecialInText,   // special tokens typed in a message; encoded as ordinary text
  kUnknownTokens,   // characters that the tokenizer does not have
  kRepeated,        // equal or nearly equal to an earlier conversation of its part
  kLeak,            // held out, and equal or nearly equal to one that is trained on
};
inline constexpr std::size_t kProblems = 12;

std::string_view problem_name(Problem problem);                     // "double_bos": in JSON
std::string problem_sentence(Problem problem, std::uint64_t rows);  // "2 conversations: no answer to learn"
bool is_error(Problem problem);

// How many rows have a problem, and the first of them.
struct ProblemCounts {
  static constexpr std::size_t kListed = 10;
  struct Count {
    std::uint64_t rows = 0;
    std::vector<std::string> first;  // "train.jsonl:17"; of bad rows the whole message
  };
  std::array<Count, kProblems> of{};

  void add(Problem problem, const std::string& where);
  std::uint64_t errors() const;
  std::uint64_t warnings() const;
};

Json to_json(const ProblemCounts& counts);
// From to_json(); what it does not know is left out. BadFile when the types are wrong.
ProblemCounts problem_counts_from_json(const Json& value);

// UserError that counts each kind of error and names its first rows, when there is one; `what` names the data.
void refuse_errors(const ProblemCounts& counts, const std::string& what);

// What the checks of a row need to know of the model.
class RowCheck {
 public:
  RowCheck(const ChatTemplate& chat_template, const Tokenizer& tokenizer, std::int64_t max_length);

  // Adds what is wrong with one row, encoded and not yet cut.
  void check(const Conversation& conversation, const EncodedConversation& row, const std::string& where,
             ProblemCounts& counts) const;

  const std::vector<TokenId>& stops() const { return stops_; }

 private:
  const Tokenizer& tokenizer_;
  std::int64_t max_length_;
  std::vector<TokenId> stops_;
  std::vector<std::string> specials_;  // the strings of special tokens
};

}  // namespace attune
