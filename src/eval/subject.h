// What is evaluated: a base model and, when there is one, what was made of it, loaded side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "conversation/conversation.h"
#include "eval/canary.h"
#include "eval/checks.h"
#include "eval/scorer.h"
#include "generate/sampler.h"
#include "token/chat_template.h"

namespace attune {

struct EvalRequest {
  fs::path model;                   // the base: a folder
  std::optional<fs::path> adapter;  // tuned: the base with it
  std::optional<fs::path> tuned;    // or a model folder of its own, with the base's tokenizer
  Quantization quantization = Quantization::kNone;
  DType act = DType::kF32;
  std::int64_t max_length = 1024;          // of a conversation in tokens; its end is left out beyond
  std::vector<Conversation> train, valid;  // the person's; either may be empty
  std::vector<Canary> canaries;            // planted in `train`
  std::vector<Check> checks;               // the user's own
  std::string general_text;                // passages with empty lines between them
  std::vector<Check> general_questions;    // of Kind::kChoices
  std::vector<std::string> only;           // of kMeasures; empty: all
  std::int64_t limit = 64;                 // conversations, answers, passages, questions in each measure, at most
  std::int64_t max_tokens = 128;           // of an answer
  SamplerOptions sampler{.top_p = 0.9};    // of the answers whose style is measured
  double budget = 0.05;                    // by how much the loss on general text and questions may rise
  EvalWatch watch;
};

// A model that speaks, under the name that the results have for it.
struct Voice {
  std::string name;  // "base", "tuned"
  Model model;       // shares its weights with the base's when it is the base with an adapter
  std::optional<Adapter> adapter;
};

// Not movable: the scorer points into it.
class Subject {
 public:
  // Loads everything; `request` must outlive it. Throws as load_model(), load_tokenizer(), Adapter::load().
  explicit Subject(const EvalRequest& request);
  // Of models that are in memory; the request's are not looked at.
  Subject(const EvalRequest& request, std::shared_ptr<const Tokenizer> tokenizer,
          std::shared_ptr<const ChatTemplate> chat_template, Model base, Model tuned);
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  const EvalRequest& request;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;
  std::vector<TokenId> stops;
  std::vector<Voice> voices;  // the base, then the tuned one if there is one
  std::optional<Scorer> scorer;

  const Voice& best() const { return voices.back(); }  // what its user will speak with
  bool is_tuned() const { return voices.size() > 1; }

  // At most request.limit conversations, evenly over all, as rows with the assistant's turns trained on.
  TokenizedDataset rows(const std::vector<Conversation>& conversations) const;

  // `messages` answered with `answer`: a row with nothing but that answer (and what ends it) trained on. UserError
  // naming `where` when it does not fit into request.max_length.
  EncodedConversation answer_row(std::vector<Message> messages, const std::string& answer,
                                 const std::string& where) const;
};

// Every n-th of `count` things so that at most `limit` remain: their indices, from the first on.
std::vector<std::size_t> evenly(std::size_t count, std::int64_t limit);

}  // namespace attune
