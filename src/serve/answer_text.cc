#include "serve/answer_text.h"

#include <algorithm>

namespace attune {

AnswerText::Piece AnswerText::show(std::string text, bool last) {
  Piece piece;
  shown_ += text.size();
  piece.text = std::move(text);
  const auto begun = std::find_if(held_.begin(), held_.end(),
                                  [&](const Held& held) { return held.begin >= shown_ && !(last && !stopped()); });
  for (auto held = held_.begin(); held != begun; ++held) piece.tokens.push_back(std::move(held->choice));
  held_.erase(held_.begin(), begun);
  return piece;
}

AnswerText::Piece AnswerText::push(const TokenChoice& choice) {
  if (stopped()) return {};
  ++tokens_;
  held_.push_back({choice, decoded_});
  const std::string text = decoder_.push(choice.token);
  decoded_ += text.size();
  return show(stop_text_.push(text), false);
}

AnswerText::Piece AnswerText::finish() {
  if (stopped()) return {};
  std::string text = stop_text_.push(decoder_.finish());
  if (!stopped()) text += stop_text_.finish();
  return show(std::move(text), true);
}

}  // namespace attune
