// The text of an answer, put together from its tokens: whole characters, cut at stop strings, each token with the text
// it belongs to.
#pragma once

#include <string>
#include <vector>

#include "generate/engine.h"
#include "serve/stop_text.h"
#include "token/stream_decoder.h"

namespace attune {

// Keeps a reference to the tokenizer.
class AnswerText {
 public:
  AnswerText(const Tokenizer& tokenizer, std::vector<std::string> stops)
      : decoder_(tokenizer), stop_text_(std::move(stops)) {}

  // What can be shown now, and the tokens whose text has begun to be shown.
  struct Piece {
    std::string text;
    std::vector<TokenChoice> tokens;
    bool empty() const { return text.empty() && tokens.empty(); }
  };
  Piece push(const TokenChoice& choice);
  Piece finish();  // the rest

  bool stopped() const { return stop_text_.stopped(); }  // by a stop string
  std::int64_t tokens() const { return tokens_; }        // pushed before the text stopped

 private:
  Piece show(std::string text, bool last);

  struct Held {
    TokenChoice choice;
    std::size_t begin;  // bytes of text decoded before it
  };
  StreamDecoder decoder_;
  StopText stop_text_;
  std::vector<Held> held_;
  std::size_t decoded_ = 0, shown_ = 0;  // bytes
  std::int64_t tokens_ = 0;
};

}  // namespace attune
