// The JSON of answers, in the shapes of OpenAI's chat and completion endpoints, whole and in chunks.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "serve/answer_text.h"
#include "token/tokenizer.h"

namespace attune {

struct AnswerUsage {
  std::int64_t prompt_tokens = 0, answer_tokens = 0, known_tokens = 0;  // known: of the prompt, from earlier ones
};

// One reply: everything in it carries the same id and time.
class ApiReply {
 public:
  ApiReply(bool chat, std::string model, const Tokenizer& tokenizer, bool logprobs);

  Json whole(const AnswerText::Piece& answer, const std::string& finish_reason, const AnswerUsage& usage) const;

  bool is_chat() const { return chat_; }

  // The parts of a stream, in this order; in a chat the first says who speaks.
  Json first_chunk() const;
  Json chunk(const AnswerText::Piece& piece);
  Json last_chunk(const std::string& finish_reason) const;
  Json usage_chunk(const AnswerUsage& usage) const;

 private:
  Json envelope(const char* object) const;
  Json with_choice(Json choice) const;
  Json logprobs_of(const AnswerText::Piece& piece, std::size_t offset) const;
  std::string text_of(TokenId token) const;

  bool chat_, logprobs_;
  std::string model_, id_;
  std::int64_t created_;
  const Tokenizer& tokenizer_;
  std::size_t offset_ = 0;  // bytes of text in earlier chunks
};

}  // namespace attune
